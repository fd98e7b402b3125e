package main

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"
)

var at = time.Unix(1767312000, 0).UTC()

// folder makes the same files with other times and modes of no account.
func folder(t *testing.T, umask os.FileMode, modified time.Time) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "streamkeeper_1.2.3")
	for name, mode := range map[string]os.FileMode{"streamkeeper": 0o755, "man/b.1": 0o644, "man/a.1": 0o644} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte("content of "+name), mode&^umask); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, modified, modified); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func archived(t *testing.T, file, from string) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), file)
	if err := write(path, from, at); err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

func TestArchivesOfTheSameFilesAreTheSameBytes(t *testing.T) {
	t.Parallel()
	for _, file := range []string{"a.tar.gz", "a.zip"} {
		first, second := archived(t, file, folder(t, 0, at.AddDate(-1, 0, 0))), archived(t, file, folder(t, 0o077, at.AddDate(1, 0, 0)))
		if !bytes.Equal(first, second) {
			t.Errorf("%s differs", file)
		}
	}
}

func TestArchivesHoldTheFolderWithNamesInOrder(t *testing.T) {
	t.Parallel()
	from := folder(t, 0, at)
	compressed, err := gzip.NewReader(bytes.NewReader(archived(t, "a.tar.gz", from)))
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"streamkeeper_1.2.3/man/a.1", "streamkeeper_1.2.3/man/b.1", "streamkeeper_1.2.3/streamkeeper"}
	tarred := tar.NewReader(compressed)
	content := archived(t, "a.zip", from)
	zipped, err := zip.NewReader(bytes.NewReader(content), int64(len(content)))
	if err != nil {
		t.Fatal(err)
	}
	for i, name := range want {
		mode := map[bool]int64{true: 0o755, false: 0o644}[i == 2]
		header, err := tarred.Next()
		if err != nil || header.Name != name || header.Mode != mode || header.Uid != 0 || !header.ModTime.Equal(at) {
			t.Fatalf("tar has %+v (%v), want %s", header, err, name)
		}
		if f := zipped.File[i]; f.Name != name || int64(f.Mode().Perm()) != mode || !f.Modified.Equal(at) {
			t.Errorf("zip has %s %v %v, want %s", f.Name, f.Mode(), f.Modified, name)
		}
	}
	if _, err := tarred.Next(); err != io.EOF || len(zipped.File) != len(want) {
		t.Error("there is more")
	}
}

func TestOtherKindsOfArchivesAreRefused(t *testing.T) {
	t.Parallel()
	if write(filepath.Join(t.TempDir(), "a.rar"), folder(t, 0, at), at) == nil {
		t.Error("a.rar is written")
	}
}
