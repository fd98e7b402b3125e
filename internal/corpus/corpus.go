// Package corpus is messages that were made with other implementations of LZ4
// and protobuf, for tests.
package corpus

import (
	"compress/gzip"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"sync"
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

// kept holds what was read, by file and type: to read it again takes a test with the
// race detector two seconds.
var kept sync.Map

type keptKey struct {
	file string
	of   reflect.Type
}

// Read reads the messages of a file, in the caller's own type. Others get the same
// ones, so what they hold is not to be changed.
func Read[T any](tb testing.TB, file string) []T {
	tb.Helper()
	read, _ := kept.LoadOrStore(keptKey{file, reflect.TypeFor[T]()}, sync.OnceValues(func() ([]T, error) { return decode[T](file) }))
	all, err := read.(func() ([]T, error))()
	if err != nil {
		tb.Fatal(err)
	}
	return slices.Clone(all)
}

func decode[T any](file string) ([]T, error) {
	_, here, _, _ := runtime.Caller(0)
	f, err := os.Open(filepath.Join(filepath.Dir(here), "..", "..", "burst", "testdata", file))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		return nil, err
	}
	var all []T
	for lines := json.NewDecoder(z); lines.More(); {
		var one T
		if err := lines.Decode(&one); err != nil {
			return nil, err
		}
		all = append(all, one)
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("%s is empty", file)
	}
	return all, nil
}
