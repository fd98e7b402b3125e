package sweep

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/streamkeeper/streamkeeper/trim"
)

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
