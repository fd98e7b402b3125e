package human

import "testing"

func TestTheNearestIsOneThatIsNear(t *testing.T) {
	all := []string{"dry-run", "max-age", "max-length", "output", "redis-url", "TRIM_MAX_AGE", "INSPECT_MAX_AGE"}
	for name, want := range map[string]string{
		"dryrun": "dry-run", "Dry_Run": "dry-run", "maxlength": "max-length", "out": "output", "output-format": "output", "url": "redis-url",
		"MAX_AGE": "TRIM_MAX_AGE", "trim_max_agee": "TRIM_MAX_AGE", "json": "", "verbose": "", "": "", "x": "", "u": "",
	} {
		if got := Nearest(name, all); got != want {
			t.Errorf("%q: %q, want %q", name, got, want)
		}
	}
	if got := Nearest("x", nil); got != "" {
		t.Errorf("of none: %q", got)
	}
}
