package buffer

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/streamkeeper/streamkeeper/buffer/registry"
	"github.com/streamkeeper/streamkeeper/internal/redistest"
)

// producers refresh sessions while others expire them and put them back. None is
// lost, and none falls back to what it was before a refresh.
func TestUndoNeverOverwritesARefresh(t *testing.T) {
	refreshes := 100_000
	if testing.Short() || redistest.Race {
		refreshes = 3_000
	}
	for _, layout := range registry.Layouts() {
		t.Run(string(layout), func(t *testing.T) {
			t.Parallel()
			s := redistest.Start(t)
			b := openOn(t, s.URL())
			const sessions = 40
			ctx, stop := context.WithCancel(t.Context())
			defer stop()
			var others sync.WaitGroup
			returns := 0
			others.Go(func() {
				for ctx.Err() == nil {
					page, err := readOld(ctx, b)
					if err == nil {
						_, err = b.Expire(ctx, page, registry.Expiring{Keep: time.Hour, Bytes: 64 << 20})
					}
					if err != nil && ctx.Err() == nil {
						t.Error(err)
					}
				}
			})
			others.Go(func() {
				for ctx.Err() == nil {
					n, err := putBackOnce(ctx, b)
					if returns += n; err != nil && ctx.Err() == nil {
						t.Error(err)
					}
				}
			})
			written := make([]int64, sessions)
			for n := range refreshes / len(registry.Layouts()) {
				i := n % sessions
				identity := fmt.Sprintf("car %d", i)
				if n%(5*sessions) >= 4*sessions && n > 0 {
					continue // it falls silent, so that it expires and comes back
				}
				written[i] = five + int64(n)
				if err := registry.Produce(ctx, s.Client, layout, "sessions", identity, "streamSessionId", 7, "streamName", "s", "lastUpdated", written[i]); err != nil {
					t.Fatal(err)
				}
				if got := lastUpdated(ctx, t, b, layout, identity); got != 0 && got != written[i] {
					t.Fatalf("%s: a refresh of %d became %d", identity, written[i], got)
				}
			}
			stop()
			others.Wait()
			undoAllThatAreGone(t, b)
			for i, at := range written {
				if got := lastUpdated(t.Context(), t, b, layout, fmt.Sprintf("car %d", i)); got != at {
					t.Errorf("car %d was updated at %d, and is as of %d", i, at, got)
				}
			}
			if returns < 10 {
				t.Errorf("only %d sessions came back meanwhile", returns)
			}
		})
	}
}

func readOld(ctx context.Context, b *Buffer) (all []registry.Session, err error) {
	err = b.WalkSessions(ctx, func(page []registry.Session) error {
		all = append(all, page...)
		return nil
	})
	return all, err
}

func putBackOnce(ctx context.Context, b *Buffer) (returns int, err error) {
	seen := make(map[string]bool)
	var copies []registry.Copy
	if err := b.WalkCopies(ctx, func(c registry.Copy) error {
		if !seen[c.Identity] {
			copies = append(copies, c)
		}
		seen[c.Identity] = true
		return nil
	}); err != nil {
		return 0, err
	}
	ended, failed, err := b.Undo(ctx, copies, registry.Undoing{Notes: time.Hour})
	for i := range ended {
		if ended[i] == registry.IsBack {
			returns++
		}
	}
	return returns, errors.Join(append(failed, err)...)
}

func undoAllThatAreGone(t *testing.T, b *Buffer) {
	t.Helper()
	if _, err := putBackOnce(t.Context(), b); err != nil {
		t.Fatal(err)
	}
}

// lastUpdated is what a session says of itself, 0 if it is not there.
func lastUpdated(ctx context.Context, t *testing.T, b *Buffer, layout registry.Layout, identity string) int64 {
	t.Helper()
	var text string
	switch key := layout.KeyOf("sessions", identity); {
	case layout.HasOwnKey():
		text = b.rdb.HGet(ctx, key, "lastUpdated").Val()
	case layout == registry.Fields:
		text = b.rdb.HGet(ctx, key, identity+":lastUpdated").Val()
	default:
		_, rest, _ := strings.Cut(b.rdb.HGet(ctx, "sessions", identity).Val(), `"lastUpdated":`)
		text = strings.TrimRight(strings.SplitN(rest+",", ",", 2)[0], "}")
	}
	var n int64
	_, _ = fmt.Sscan(text, &n)
	return n
}
