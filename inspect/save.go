package inspect

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/streamkeeper/streamkeeper/buffer"
)

// Saver writes payloads to files of one directory, as [CheckFiles] takes them.
// It never writes outside the directory, whatever the name of a stream is and
// whatever links lie in it.
type Saver struct {
	dir  string
	root *os.Root
}

// NewSaver makes the directory, if it is not there.
func NewSaver(dir string) (*Saver, error) {
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return nil, fmt.Errorf("saving payloads: %w", err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("saving payloads: %w", err)
	}
	return &Saver{dir: dir, root: root}, nil
}

// Close closes the directory.
func (s *Saver) Close() error { return s.root.Close() }

// Save writes the payload of a message of a stream, if it has one, and notes in
// the message where. The message does not hold on to the payload.
func (s *Saver) Save(m *Message) error {
	payload := m.Payload
	if m.Payload = nil; payload == nil {
		return nil
	}
	name := FileName(m.Stream, m.ID)
	f, err := s.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o666)
	if err != nil {
		return fmt.Errorf("saving message %s of stream %s: %w", m.ID, buffer.Quote(m.Stream), err)
	}
	_, err = f.Write(payload)
	if err := errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("saving message %s of stream %s: %w", m.ID, buffer.Quote(m.Stream), err)
	}
	m.Saved = filepath.Join(s.dir, name)
	return nil
}

// maxFileName is how long the part of a file's name is that stands for the
// stream: with the id and the ending, file systems take it.
const maxFileName = 180

// FileName is the name of the file for a message: letters, digits and a few signs
// stay, every other byte of the stream's name becomes %XX. No two messages have
// the same; the end of a very long name gives way to its hash.
func FileName(stream string, id buffer.ID) string {
	var b strings.Builder
	for i := range len(stream) {
		switch c := stream[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '_', c == '.' && i > 0:
			b.WriteByte(c)
		default:
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	name := b.String()
	if len(name) > maxFileName {
		sum := sha256.Sum256([]byte(stream))
		name = fmt.Sprintf("%s~%x", name[:maxFileName-34], sum[:16])
	}
	return fmt.Sprintf("%s@%s.bin", name, id)
}
