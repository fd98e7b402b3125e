package sweep

import (
	"bytes"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

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
