package e2e

import (
	"maps"
	"strings"
	"testing"
)

// TestOnceForSomeStreamsSaysWhyTheRestStays: whoever makes room at night has to know
// what to ask for instead.
func TestOnceForSomeStreamsSaysWhyTheRestStays(t *testing.T) {
	t.Parallel()
	w := startFixture(t, "object")
	w.env.MustRun(t, "pause", "--for", "1h", "--stream", "aged")
	for _, c := range []struct {
		env, args string
		says      []string
	}{
		{"", "--stream * --max-length 5000", []string{"0 of 9 streams to trim", "no stream is over its limit: keep the newest 5000 entries, approximately"}},
		{"TRIM_POLICIES=busy: keep=all", "--stream busy --stream short* --max-length 5000", []string{"1 stream kept whole (keep=all, or no limit); no other is over its limit"}},
		{"TRIM_MIN_AGE=1h", "--stream busy --max-length 500", []string{"2 000 entries over a limit in 1 stream stay, as they are younger than their min_age (TRIM_MIN_AGE)"}},
		{"", "--stream aged --max-length 100", []string{"entries over a limit in 1 stream stay, as they are paused (--ignore-pause)"}},
	} {
		env := maps.Clone(w.env)
		delete(env, "TRIM_POLICIES")
		if name, value, found := strings.Cut(c.env, "="); found {
			env[name] = value
		}
		for _, dry := range []bool{true, false} {
			args := append([]string{"once", "trim"}, strings.Fields(c.args)...)
			if dry {
				args = append(args, "--dry-run")
			}
			out := strings.Join(strings.Fields(env.MustRun(t, args...)), " ")
			for _, says := range c.says {
				if !dry {
					says = strings.Replace(says, "to trim", "trimmed", 1)
				}
				if !strings.Contains(out, says) {
					t.Errorf("%s %s, dry %t, lacks %q:\n%s", c.env, c.args, dry, says, out)
				}
			}
		}
	}
	if out := w.env.MustRun(t, "once", "trim"); strings.Contains(out, "over a limit") || strings.Contains(out, "kept whole") {
		t.Errorf("a run for all streams:\n%s", out)
	}
}
