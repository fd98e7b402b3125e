package e2e

import (
	"context"
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/streamkeeper/streamkeeper/buffer"
	"github.com/streamkeeper/streamkeeper/internal/redistest"
)

func TestWhatLiesUnderTheStatePrefixIsKnownAndEnds(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	r := newFixture(s.Client, s.URL())
	r.fill(t, "object", "keys")
	aclSettings(r.env, "auto")
	mustDo(t, s.Client.XGroupCreate(t.Context(), "stream:busy", "nobody", "0").Err())
	mustDo(t, s.Client.SRem(t.Context(), "streams", "idle").Err())
	missing := make(map[string]bool)
	for _, key := range buffer.StateKeys() {
		missing["streamkeeper:"+key.Name] = true
	}
	known := maps.Clone(missing)
	delete(missing, "streamkeeper:lease")          // it was given back
	delete(missing, "streamkeeper:trims:underway") // until all is recorded
	r.env.MustRun(t, "pause", "--for", "1h", "--job", "inspect")
	look := func() {
		for _, key := range s.Client.Keys(t.Context(), "streamkeeper:*").Val() {
			name := key
			switch {
			case strings.HasPrefix(key, "streamkeeper:trims:"):
				name = "streamkeeper:trims:HOUR"
			case strings.HasPrefix(key, "streamkeeper:undo:{sessions:"), strings.HasPrefix(key, "streamkeeper:undone:{sessions:"):
				name, _, _ = strings.Cut(key, "{")
				name += "{SESSIONS_KEY:ID}"
			case strings.HasSuffix(key, "{sessions}"):
				name = strings.ReplaceAll(key, "{sessions}", "{SESSIONS_KEY}")
			}
			if !known[name] {
				t.Errorf("%s is not documented", key)
			}
			if left := s.Client.PTTL(t.Context(), key).Val(); left <= 0 || left > buffer.KeepState {
				t.Errorf("%s lasts for %s", key, left)
			}
			delete(missing, name)
		}
	}
	// A daemon takes its note back at its end.
	var noted atomic.Int64
	watch := func(ctx context.Context) bool {
		if left := s.Client.PTTL(ctx, "streamkeeper:instances").Val(); left > 0 {
			noted.Store(int64(left))
		}
		return false
	}
	// The guard holds everything back, and then nothing.
	for _, share := range []string{"0.01", "1"} {
		r.env["CLEANUP_BRAKE"], r.env["CLEANUP_BRAKE_MIN"] = share, "1"
		serveUntil(t, r.env, 3*time.Second, watch)
		look()
	}
	if left := time.Duration(noted.Load()); left > 0 && left <= buffer.KeepState {
		delete(missing, "streamkeeper:instances")
	}
	r.env.MustRun(t, "undo", "--since", "1h")
	look()
	if len(missing) > 0 {
		t.Errorf("never seen: %v", slices.Sorted(maps.Keys(missing)))
	}
}
