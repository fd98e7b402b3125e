package trim

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"time"
)

func TestPoliciesAreStricterIfTheyMayKeepLess(t *testing.T) {
	base := Policies{Default: Policy{MaxLength: 1000, MaxAge: time.Hour, MinAge: time.Minute}}
	rules, err := ParseRules("car: max_length=10", base.Default)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		now  Policies
		want bool
	}{
		"the same":           {base, false},
		"a lower length":     {Policies{Default: Policy{MaxLength: 999, MaxAge: time.Hour, MinAge: time.Minute}}, true},
		"a higher length":    {Policies{Default: Policy{MaxLength: 1001, MaxAge: time.Hour, MinAge: time.Minute}}, false},
		"no length":          {Policies{Default: Policy{MaxAge: time.Hour, MinAge: time.Minute}}, false},
		"a lower age":        {Policies{Default: Policy{MaxLength: 1000, MaxAge: time.Minute, MinAge: time.Minute}}, true},
		"less is protected":  {Policies{Default: Policy{MaxLength: 1000, MaxAge: time.Hour}}, true},
		"a rule more":        {Policies{Default: base.Default, Rules: rules}, true},
		"age beside nothing": {Policies{Default: Policy{MaxLength: 1000, MaxAge: 2 * time.Hour, MinAge: time.Minute}}, false},
	} {
		if got := c.now.stricter(base.facts()); got != c.want {
			t.Errorf("%s is stricter: %v", name, got)
		}
	}
	if base.stricter(nil) {
		t.Error("the first policy ever is stricter than none")
	}
	if unlimited := (Policies{}); !base.stricter(unlimited.facts()) {
		t.Error("a limit is not stricter than no limit")
	}
}

func TestTheFirstRunUnderAStricterPolicySaysWhatItRemoves(t *testing.T) {
	w := realWorld(t)
	w.list("car")
	w.fill("car", 100, times(time.Now().Add(-time.Minute), 1000)...)
	var log bytes.Buffer
	run := func(length int64) {
		t.Helper()
		o := Options{Policies: Policies{Default: Policy{MaxLength: length}}, Log: slog.New(slog.NewTextHandler(&log, nil))}
		if _, err := New(w.store, o).Run(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	for _, step := range []struct {
		length int64
		said   int
	}{{5000, 0}, {500, 1}, {500, 1}, {5000, 1}, {100, 2}} {
		run(step.length)
		if got := strings.Count(log.String(), "the policy got stricter"); got != step.said {
			t.Errorf("down to %d it was said %d times, want %d:\n%s", step.length, got, step.said, log.String())
		}
	}
	if !strings.Contains(log.String(), "keep the newest 500 entries") {
		t.Errorf("the policy is not told:\n%s", log.String())
	}
}
