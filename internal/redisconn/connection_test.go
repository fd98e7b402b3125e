package redisconn

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/streamkeeper/streamkeeper/internal/redistest"
	"github.com/streamkeeper/streamkeeper/internal/secret"
)

func TestServersBefore62AreRefused(t *testing.T) {
	for version, want := range map[string]bool{"6.2.0": true, "6.0.16": false, "5.0.7": false, "7.0.15": true, "8.4.0": true, "10.1": true} {
		if got := (Server{Version: version}).AtLeast(6, 2); got != want {
			t.Errorf("%s is at least 6.2: %v", version, got)
		}
	}
}

func TestConnectionErrorsNeverHoldThePassword(t *testing.T) {
	for _, url := range []string{
		"redis://:hush/word@host:6379/0", "redis://user:hush@host:port/0", "http://user:hush@host", "redis://u:hush@h/x?y=z",
		"redis://u:hush@h/0?bogus=1", "hush", "redis://h:1/hush", "redis://u:hu%zzsh@h",
	} {
		c := Connection{URL: url}
		err := c.Validate()
		if err == nil {
			t.Errorf("%s is valid", url)
		} else if strings.Contains(err.Error(), "hush") {
			t.Errorf("the error of %s shows the password: %v", url, err)
		}
	}
	ok := Connection{URL: "redis://u:hush@h:1/2?master_name=m&addr=h2:2"}
	if err := ok.Validate(); err != nil {
		t.Error(err)
	}
	if got := ok.Redacted(); got != "redis://h:1,h2:2/2?master_name=m" {
		t.Errorf("redacted: %s", got)
	}
}

func TestAPasswordFileIsARegularFileOfBoundedLength(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(name string, size int) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, bytes.Repeat([]byte("x"), size), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	fifo := filepath.Join(dir, "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	s := redistest.Start(t)
	for path, fault := range map[string]string{
		fifo: "is not a regular file", "/dev/zero": "is not a regular file", dir: "is not a regular file",
		write("long", secret.MaxSize+1): "may have 65536", filepath.Join(dir, "none"): "no such file",
	} {
		_, err := Open(t.Context(), Options{Connection: Connection{URL: s.URL(), PasswordFile: path}})
		if err == nil || !strings.Contains(err.Error(), fault) {
			t.Errorf("%s: %v, want %q", path, err, fault)
		}
	}
	if got, err := textOrFile("", write("good", 12)); err != nil || len(got) != 12 {
		t.Errorf("a good one gives %q, %v", got, err)
	}
}
