package buffer

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Names are the keys of the stream buffer and of streamkeeper's own state.
type Names struct {
	// Streams is the Set of all stream names.
	Streams string
	// StreamPrefix and a name make the key of a stream.
	StreamPrefix string
	// Sessions is the Hash of the sessions; with ":" it is the prefix of the
	// keys that hold one session each.
	Sessions string
	// StatePrefix begins every key that streamkeeper writes for itself.
	StatePrefix string
}

// DefaultNames are the names in the RTA documentation.
var DefaultNames = Names{
	Streams:      "streams",
	StreamPrefix: "stream:",
	Sessions:     "sessions",
	StatePrefix:  "streamkeeper:",
}

// StreamKey is the key of the stream with that name.
func (n Names) StreamKey(name string) string { return n.StreamPrefix + name }

// SessionPrefix begins the key of every session in the keys layout.
func (n Names) SessionPrefix() string { return n.Sessions + ":" }

// Escape writes a name, which may be any bytes, so that it can be shown on a
// terminal, in JSON, in a label or on a page: invalid UTF-8 and control
// characters become \xNN, a backslash becomes \\. [Unescape] reverses it.
func Escape(name string) string {
	if !needsEscape(name) {
		return name
	}
	var b strings.Builder
	for i := 0; i < len(name); {
		r, size := utf8.DecodeRuneInString(name[i:])
		switch {
		case r == '\\':
			b.WriteString(`\\`)
		case isUnprintable(r, size):
			for _, c := range []byte(name[i : i+size]) {
				fmt.Fprintf(&b, `\x%02x`, c)
			}
		default:
			b.WriteString(name[i : i+size])
		}
		i += size
	}
	return b.String()
}

// Quote is [Escape] in quotation marks, for errors and sentences.
func Quote(name string) string { return `"` + Escape(name) + `"` }

func needsEscape(name string) bool {
	for i := 0; i < len(name); {
		r, size := utf8.DecodeRuneInString(name[i:])
		if r == '\\' || isUnprintable(r, size) {
			return true
		}
		i += size
	}
	return false
}

func isUnprintable(r rune, size int) bool {
	return r == utf8.RuneError && size == 1 || unicode.IsControl(r)
}

// Unescape reads what [Escape] wrote: \xNN and \\; any other backslash is an
// error.
func Unescape(text string) (string, error) {
	if !strings.Contains(text, `\`) {
		return text, nil
	}
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		if text[i] != '\\' {
			b.WriteByte(text[i])
			continue
		}
		rest := text[i+1:]
		var c byte
		switch {
		case strings.HasPrefix(rest, `\`):
			b.WriteByte('\\')
			i++
		case len(rest) >= 3 && rest[0] == 'x' && parseHex(rest[1:3], &c):
			b.WriteByte(c)
			i += 3
		default:
			return "", fmt.Errorf(`name %q: a backslash must be \\ or \xNN`, text)
		}
	}
	return b.String(), nil
}

func parseHex(s string, c *byte) bool {
	n, err := fmt.Sscanf(s, "%02x", c)
	return n == 1 && err == nil
}
