package demo

import (
	"strings"
	"testing"
	"time"
)

func TestEveryNameIsRecognisableAsTheDemos(t *testing.T) {
	names := []string{deadStream, staleSession}
	for _, role := range Cast() {
		names = append(names, role.Name)
	}
	seen := make(map[string]bool)
	for _, name := range names {
		if !strings.HasPrefix(name, Prefix) || seen[name] {
			t.Errorf("%q does not begin with %q, or comes twice", name, Prefix)
		}
		seen[name] = true
	}
}

// What takes longest must still happen in time, on a slow machine too.
func TestEverythingHappensWithinTheDemo(t *testing.T) {
	const slack = 2 * time.Second
	for _, role := range Cast() {
		if role.Dies == 0 {
			continue
		}
		expired := role.Dies + expireAfter + cleanEvery
		retired := max(expired, role.Dies+retireAfter+cleanEvery)
		if retired+slack > Length {
			t.Errorf("%q is retired only after %s", role.Name, retired)
		}
		if role.Returns == 0 {
			continue
		}
		if role.Returns < retired+slack {
			t.Errorf("%q returns after %s, before it is surely retired (%s)", role.Name, role.Returns, retired)
		}
		if restored := role.Returns + cleanEvery; restored+slack > Length {
			t.Errorf("%q is restored only after %s", role.Name, restored)
		}
	}
	if full := MaxLength * Interval; full+trimEvery+slack > Length {
		t.Errorf("a stream without a past is trimmed only after %s", full)
	}
}

func TestAHealthySessionIsUpdatedTwiceWithinItsTime(t *testing.T) {
	if every := announceEvery * Interval; every > expireAfter/2 {
		t.Errorf("an update each %s, and expiry after %s", every, expireAfter)
	}
}
