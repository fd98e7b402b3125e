// Package corpus is messages that were made with other implementations of LZ4
// and protobuf, for tests.
package corpus

import (
	"compress/gzip"
	"encoding/json"
	"os"
	"path/filepath"
	"runtime"
	"testing"
)

// The files of messages.
const (
	// Bursts are messages, good and bad, and what is to be said of them.
	Bursts = "bursts.jsonl.gz"
	// Judged are messages and what other implementations say of them; make.py
	// makes them.
	Judged = "judged.jsonl.gz"
)

// Read reads the messages of a file, in the caller's own type.
func Read[T any](tb testing.TB, file string) []T {
	tb.Helper()
	_, here, _, _ := runtime.Caller(0)
	f, err := os.Open(filepath.Join(filepath.Dir(here), "..", "..", "burst", "testdata", file))
	if err != nil {
		tb.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		tb.Fatal(err)
	}
	var all []T
	for lines := json.NewDecoder(z); lines.More(); {
		var one T
		if err := lines.Decode(&one); err != nil {
			tb.Fatal(err)
		}
		all = append(all, one)
	}
	if len(all) == 0 {
		tb.Fatalf("%s is empty", file)
	}
	return all
}
