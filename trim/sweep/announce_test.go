package sweep

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/streamkeeper/streamkeeper/buffer"
	"github.com/streamkeeper/streamkeeper/trim"
)

func TestARuleThatMatchesNoStreamIsSaidOnce(t *testing.T) {
	w := realFixture(t)
	rules, err := trim.ParseRules(`nomatch-*: max_length=50; "car": keep=all; ca*: max_length=20`, trim.Policy{MaxLength: 10})
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	tr := New(w.store, Options{Policies: trim.Policies{Default: trim.Policy{MaxLength: 10}, Rules: rules}, Log: slog.New(slog.NewTextHandler(&log, nil))})
	if r := w.run(tr); len(r.UnusedRules) > 0 {
		t.Errorf("without a stream: %q", r.UnusedRules)
	}
	w.list("car", "bus")
	want := []string{"nomatch-*", "ca*"}
	for range 2 {
		if r := w.run(tr); !slices.Equal(r.UnusedRules, want) {
			t.Errorf("run: %q", r.UnusedRules)
		}
		if r, err := tr.Plan(t.Context(), func(trim.Cut) {}); err != nil || !slices.Equal(r.UnusedRules, want) {
			t.Errorf("plan: %q, %v", r.UnusedRules, err)
		}
	}
	if n := strings.Count(log.String(), "match no stream"); n != 1 {
		t.Errorf("said %d times:\n%s", n, log.String())
	}
}

func TestTheFirstRunUnderAStricterPolicySaysWhatItRemoves(t *testing.T) {
	w := realFixture(t)
	w.list("car")
	w.fill("car", 100, times(time.Now().Add(-time.Minute), 1000)...)
	var log bytes.Buffer
	run := func(length int64) {
		t.Helper()
		o := Options{Policies: trim.Policies{Default: trim.Policy{MaxLength: length}}, Log: slog.New(slog.NewTextHandler(&log, nil))}
		if _, err := New(w.store, o).Run(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	for _, step := range []struct {
		length int64
		said   int
	}{{5000, 0}, {500, 1}, {500, 1}, {5000, 1}, {100, 2}} {
		run(step.length)
		if got := strings.Count(log.String(), "stricter policy removes entries"); got != step.said {
			t.Errorf("down to %d it was said %d times, want %d:\n%s", step.length, got, step.said, log.String())
		}
	}
	if !strings.Contains(log.String(), "keep the newest 500 entries") {
		t.Errorf("the policy is not told:\n%s", log.String())
	}
}

func TestListedKeysOfAnotherTypeAreSaidWhenTheirNumberChanges(t *testing.T) {
	w := realFixture(t)
	var log bytes.Buffer
	tr := New(w.store, Options{Policies: trim.Policies{Default: trim.Policy{MaxLength: 10}}, Log: slog.New(slog.NewTextHandler(&log, nil))})
	for i, name := range []string{"car", "", "bus"} {
		if name != "" {
			w.list(name)
			w.rdb.Set(t.Context(), "stream:"+name, "a text", 0)
		}
		w.run(tr)
		if n, want := strings.Count(log.String(), "of another type"), []int{1, 1, 2}[i]; n != want {
			t.Errorf("after run %d it was said %d times:\n%s", i, n, log.String())
		}
	}
}

// What a pause keeps is said by the run that removes it, and not by those before.
func TestWhatAStricterPolicyRemovesIsSaidByTheRunThatRemovesIt(t *testing.T) {
	w := realFixture(t)
	w.fill("car", 100, times(time.Now().Add(-time.Minute), 1000)...)
	w.fill("bus", 100, times(time.Now().Add(-time.Minute), 1000)...)
	w.run(w.trimmer(trim.Policy{MaxLength: 5000}))
	var log bytes.Buffer
	var paused []string
	sweeper := func() *Sweeper {
		return w.trimmer(trim.Policy{MaxLength: 500}, func(o *Options) {
			o.Log = slog.New(slog.NewTextHandler(&log, nil))
			o.Paused = pausedBy(func(stream string) bool { return slices.Contains(paused, stream) })
		})
	}
	daemon := sweeper()
	for i, step := range []struct {
		paused []string
		tr     *Sweeper
		said   string
	}{
		{[]string{"car", "bus"}, daemon, ""},
		{[]string{"car", "bus"}, sweeper(), ""},
		{[]string{"car"}, daemon, "streams=1 entries=481"},
		{[]string{"car"}, daemon, ""},
		{nil, daemon, "streams=1 entries=481"},
		{nil, daemon, ""},
		{nil, sweeper(), ""},
	} {
		paused = step.paused
		log.Reset()
		w.run(step.tr)
		if n := strings.Count(log.String(), "stricter policy"); n > 1 || (n == 1) != (step.said != "") || !strings.Contains(log.String(), step.said) {
			t.Errorf("run %d said, want %q:\n%s", i, step.said, log.String())
		}
	}
}

// failing is a store that does not tell the last policy at first.
type failing struct {
	Store
	fails int
}

func (f *failing) TrimPolicy(ctx context.Context) (buffer.StateFields, error) {
	if f.fails--; f.fails >= 0 {
		return nil, errors.New("out of order")
	}
	return f.Store.TrimPolicy(ctx)
}

func TestPoliciesAreComparedAgainWhereThatFailed(t *testing.T) {
	w := realFixture(t)
	w.fill("car", 100, times(time.Now().Add(-time.Minute), 1000)...)
	w.run(w.trimmer(trim.Policy{MaxLength: 5000}))
	var log bytes.Buffer
	tr := New(&failing{w.store, 2}, Options{
		Policies: trim.Policies{Default: trim.Policy{MaxLength: 500}}, Log: slog.New(slog.NewTextHandler(&log, nil)),
	})
	for n := range 3 {
		w.run(tr)
		w.fill("car", 100, times(time.Now().Add(time.Duration(n)*time.Second), 500)...)
	}
	if n := strings.Count(log.String(), "cannot compare policies"); n != 1 {
		t.Errorf("it was said %d times that they cannot be compared:\n%s", n, log.String())
	}
	if n := strings.Count(log.String(), "stricter policy removes entries"); n != 1 {
		t.Errorf("it was said %d times what goes:\n%s", n, log.String())
	}
}
