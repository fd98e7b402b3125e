package inspect

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/streamkeeper/streamkeeper/buffer"
)

func TestPayloadsAreSavedWithinTheDirectoryWhateverTheStreamIsCalled(t *testing.T) {
	t.Parallel()
	parent := t.TempDir()
	dir := filepath.Join(parent, "new", "payloads")
	s, err := NewSaver(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	names := []string{
		"", ".", "..", "../..", "../x", "/etc/passwd", "a/b", `a\b`, "a\x00b", "car 7: \xff", "C:x", "a%2Fb", "a@5-0", "-rf", ".hidden", "NUL", "a\nb",
		strings.Repeat("long/", 1000), strings.Repeat("long/", 1000) + "x", strings.Repeat("a", 300),
	}
	seen := make(map[string]bool)
	for _, name := range names {
		m := Message{Stream: name, ID: buffer.ID{Ms: 5, Seq: 7}, Payload: []byte(name + "'s")}
		if err := s.Save(&m); err != nil {
			t.Fatalf("%q: %v", name, err)
		}
		if seen[m.Saved] || filepath.Dir(m.Saved) != dir || m.Payload != nil {
			t.Errorf("%q is saved as %q", name, m.Saved)
		}
		seen[m.Saved] = true
		if got, err := os.ReadFile(m.Saved); err != nil || string(got) != name+"'s" {
			t.Errorf("%q: %q, %v", name, got, err)
		}
	}
	for path, want := range map[string]int{parent: 1, filepath.Dir(dir): 1, dir: len(names)} {
		if entries, err := os.ReadDir(path); err != nil || len(entries) != want {
			t.Errorf("%s has %d entries, want %d, %v", path, len(entries), want, err)
		}
	}
}

func TestALinkInTheDirectoryLeadsNowhere(t *testing.T) {
	t.Parallel()
	dir, other := t.TempDir(), filepath.Join(t.TempDir(), "other")
	if err := os.WriteFile(other, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	m := Message{Stream: "a", ID: buffer.ID{Ms: 1}, Payload: []byte("x")}
	if err := os.Symlink(other, filepath.Join(dir, FileName(m.Stream, m.ID))); err != nil {
		t.Skip(err)
	}
	s, err := NewSaver(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := s.Save(&m); err == nil {
		t.Error("it was written through a link")
	}
	if got, _ := os.ReadFile(other); !bytes.Equal(got, []byte("precious")) {
		t.Errorf("what it leads to is %q", got)
	}
}

// FuzzFileName looks for names that leave the directory.
func FuzzFileName(f *testing.F) {
	f.Add("../x", "x")
	f.Add("a/b", "a%2Fb")
	f.Fuzz(func(t *testing.T, a, b string) {
		id := buffer.ID{Ms: 5}
		name, other := FileName(a, id), FileName(b, id)
		if filepath.Base(name) != name || !filepath.IsLocal(name) || strings.ContainsAny(name, "/\\\x00:") || len(name) > 255 {
			t.Errorf("%q", name)
		}
		if (name == other) != (a == b) {
			t.Errorf("%q and %q are %q", a, b, name)
		}
	})
}
