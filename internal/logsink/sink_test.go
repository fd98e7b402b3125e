package logsink

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// reader is a writer that writes when it is let.
type reader struct {
	let chan struct{}

	mu   sync.Mutex
	got  strings.Builder
	fail error
}

func (r *reader) Write(p []byte) (int, error) {
	<-r.let
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.fail != nil {
		return 0, r.fail
	}
	return r.got.Write(p)
}

func (r *reader) text() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.got.String()
}

func TestAReaderThatDoesNotReadHoldsNobodyUpAndHearsWhatItMissed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := &reader{let: make(chan struct{})}
		s := New(r, 10)
		s.Notice(func(lines int64) []byte { return fmt.Appendf(nil, "missed %d\n", lines) })
		var heard int64
		for range 7 {
			if n, err := s.Write([]byte("abcd\n")); n != 5 || err != nil {
				t.Fatalf("wrote %d, %v", n, err)
			}
		}
		s.OnDropped(func(lines int64) { heard += lines })
		_, _ = s.Write([]byte("abcd\n"))
		if heard != 6 {
			t.Errorf("it heard of %d dropped lines", heard)
		}
		begun := time.Now()
		s.Drain(t.Context(), time.Minute)
		if took := time.Since(begun); took != time.Minute {
			t.Errorf("it waited %s for a reader that does not read", took)
		}
		close(r.let)
		s.Drain(t.Context(), time.Minute)
		if got := r.text(); got != "abcd\nmissed 6\nabcd\n" {
			t.Errorf("the reader got %q", got)
		}
		_, _ = s.Write([]byte("abcd\n"))
		s.Drain(t.Context(), time.Minute)
		if got := r.text(); !strings.HasSuffix(got, "abcd\nabcd\n") || heard != 6 {
			t.Errorf("afterwards the reader got %q, and %d lines were dropped", got, heard)
		}
		s.Close()
	})
}

func TestDrainingEndsWithItsContextAndGoesOnWhileSomebodyReads(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := &reader{let: make(chan struct{})}
		s := New(r, DefaultLimit)
		for range 5 {
			_, _ = s.Write([]byte("line\n"))
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		begun := time.Now()
		s.Drain(ctx, time.Minute)
		if took := time.Since(begun); took != time.Second {
			t.Errorf("it waited %s", took)
		}
		go func() {
			for range 5 {
				time.Sleep(50 * time.Second) // slow, but within the patience
				r.let <- struct{}{}
			}
		}()
		s.Drain(t.Context(), time.Minute)
		if got := strings.Count(r.text(), "line"); got != 5 {
			t.Errorf("a slow reader got %d lines of 5", got)
		}
		s.Close()
	})
}

func TestWhatCannotBeWrittenIsCounted(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := &reader{let: make(chan struct{}), fail: errors.New("no space left on device")}
		close(r.let)
		s := New(r, DefaultLimit)
		var heard int64
		s.OnDropped(func(lines int64) { heard += lines })
		_, _ = s.Write([]byte("line\n"))
		s.Drain(t.Context(), time.Minute)
		synctest.Wait()
		if heard != 1 {
			t.Errorf("%d lines were counted", heard)
		}
		s.Close()
	})
}

func TestManyWriteAtOnce(t *testing.T) {
	t.Parallel()
	s := New(io.Discard, 1000)
	defer s.Close()
	var work sync.WaitGroup
	for range 8 {
		work.Go(func() {
			for range 1000 {
				_, _ = s.Write([]byte("line\n"))
			}
		})
	}
	work.Wait()
	s.Drain(t.Context(), 10*time.Second)
	if !s.empty() {
		t.Error("something is left")
	}
}
