package cleanup_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/streamkeeper/streamkeeper/buffer"
	"github.com/streamkeeper/streamkeeper/buffer/registry"
	"github.com/streamkeeper/streamkeeper/cleanup"
	"github.com/streamkeeper/streamkeeper/internal/redistest"
)

// withUndo keeps copies.
func withUndo(o *cleanup.Options) {
	o.Undo = cleanup.Undo{For: cleanup.DefaultUndoFor, MaxBytes: cleanup.DefaultUndoMaxBytes}
}

// copies are those of all sessions.
func (w *fixture) copies() (all []registry.Copy) {
	w.t.Helper()
	w.noError(w.shared().WalkCopies(w.t.Context(), func(c registry.Copy) error {
		all = append(all, c)
		return nil
	}))
	return all
}

// undo puts all copies back over b, and says what became of each.
func (w *fixture) undo(b *buffer.Buffer) ([]registry.Undone, error) {
	return putBack(w.t.Context(), b)
}

func putBack(ctx context.Context, b *buffer.Buffer) ([]registry.Undone, error) {
	var copies []registry.Copy
	if err := b.WalkCopies(ctx, func(c registry.Copy) error {
		copies = append(copies, c)
		return nil
	}); err != nil {
		return nil, err
	}
	ended, _, err := b.Undo(ctx, copies, registry.Undoing{Notes: 48 * time.Hour})
	return ended, err
}

// registryContent is all that lies in the registry, byte for byte.
func (w *fixture) registryContent() map[string]string {
	all := make(map[string]string)
	for _, key := range w.Client.Keys(w.t.Context(), "sessions*").Val() {
		for field, value := range w.Client.HGetAll(w.t.Context(), key).Val() {
			all[key+" "+field] = value
		}
	}
	return all
}

func TestWhatWasPutBackStaysForAnotherLimit(t *testing.T) {
	redistest.EachVersion(t, func(t *testing.T, start redistest.StartFunc) {
		for _, layout := range registry.Layouts() {
			t.Run(string(layout), func(t *testing.T) {
				w := &fixture{Server: start(t), t: t, now: time.Now()}
				w.session(layout, "stale", "s", old)
				w.stream("s", older)
				before := w.registryContent()
				cleaner := cleanup.New(w.open(w.URL(), nil), w.options(withUndo))
				expired, err := cleaner.Run(t.Context())
				if err != nil || expired.SessionsExpired != 1 || expired.SessionsPutBack != 0 || len(w.copies()) != 1 {
					t.Fatalf("%+v, %v, copies %+v", expired, err, w.copies())
				}
				if ended, err := w.undo(w.open(w.URL(), nil)); err != nil || !slices.Equal(ended, []registry.Undone{registry.IsBack}) {
					t.Fatalf("%v, %v", ended, err)
				}
				for i, want := range []int64{1, 0} {
					if _, actions := w.plan(withUndo); len(actions) != 0 {
						t.Errorf("planned %+v", actions)
					}
					report, err := cleaner.Run(t.Context())
					if err != nil || report.SessionsLive != 1 || report.SessionsExpired != 0 || report.SessionsPutBack != want {
						t.Errorf("run %d: %+v, %v", i, report, err)
					}
				}
				if after := w.registryContent(); !maps.Equal(before, after) {
					t.Errorf("before %q, after %q", before, after)
				}
				// The note becomes old.
				ago := w.now.Add(-old).UnixMilli()
				w.Client.Set(t.Context(), "streamkeeper:undone:{"+layout.KeyOf("sessions", "stale")+"}", ago, 0)
				if !layout.HasOwnKey() {
					w.Client.ZAdd(t.Context(), "streamkeeper:undone:{sessions}", redis.Z{Score: float64(ago), Member: "stale"})
				}
				if report, err := cleaner.Run(t.Context()); err != nil || report.SessionsExpired != 1 || len(w.copies()) != 1 {
					t.Errorf("%+v, %v", report, err)
				}
			})
		}
	})
}

// Where Redis is short of memory no copies are kept, those there go, and what goes
// says so.
func TestWhileMemoryIsShortThereAreNoCopies(t *testing.T) {
	t.Parallel()
	for _, layout := range registry.Layouts() {
		t.Run(string(layout), func(t *testing.T) {
			w := newFixture(t)
			w.session(layout, "before", "s", old)
			w.run(withUndo)
			if n := len(w.copies()); n != 1 {
				t.Fatalf("%d copies", n)
			}
			w.session(layout, "then", "s", old)
			used, _, err := w.open(w.URL(), nil).Memory(t.Context())
			w.noError(err)
			w.noError(w.Client.ConfigSet(t.Context(), "maxmemory", fmt.Sprint(used*100/95)).Err())
			var reasons []string
			report := w.run(func(o *cleanup.Options) {
				withUndo(o)
				o.OnAction = func(a cleanup.Action) { reasons = append(reasons, a.Reason) }
			})
			if report.SessionsExpired != 1 || len(w.copies()) != 0 || len(reasons) != 1 || !strings.Contains(reasons[0], "no copy kept") {
				t.Errorf("%+v, %q, copies %+v", report, reasons, w.copies())
			}
			if !strings.Contains(w.log.String(), "sessions expired without a copy") {
				t.Errorf("the log does not say so:\n%s", w.log.String())
			}
		})
	}
}

// Once copies are turned off, those there go with the next run, however much memory
// there is; a plan leaves them. A key of another type stays.
func TestOnceCopiesAreOffThereAreNone(t *testing.T) {
	t.Parallel()
	for _, layout := range registry.Layouts() {
		t.Run(string(layout), func(t *testing.T) {
			w := newFixture(t)
			w.session(layout, "before", "s", old)
			w.run(withUndo)
			off := func(o *cleanup.Options) { o.Undo = cleanup.Undo{For: 0, MaxBytes: cleanup.DefaultUndoMaxBytes} }
			w.plan(off)
			if n := len(w.copies()); n != 1 {
				t.Fatalf("%d copies", n)
			}
			w.run(off)
			if n := len(w.copies()); n != 0 {
				t.Errorf("%d copies are left", n)
			}
			w.noError(w.Client.Set(t.Context(), "streamkeeper:undo:{sessions}", "another's", 0).Err())
			w.run(off)
			if got := w.Client.Get(t.Context(), "streamkeeper:undo:{sessions}").Val(); got != "another's" {
				t.Errorf("the key of another type became %q", got)
			}
		})
	}
}

// The copies of one run stay within the bound.
func TestTheCopiesOfOneRunStayWithinTheBound(t *testing.T) {
	t.Parallel()
	for _, layout := range registry.Layouts() {
		t.Run(string(layout), func(t *testing.T) {
			w := newFixture(t)
			for i := range 1500 {
				w.session(layout, fmt.Sprint("car ", i), "s", old)
			}
			const most = 100 << 10
			report := w.run(func(o *cleanup.Options) { o.Undo = cleanup.Undo{For: time.Hour, MaxBytes: most} })
			left, err := w.open(w.URL(), nil).BoundCopies(t.Context(), time.Hour, 1<<40, true)
			if err != nil || report.SessionsExpired != 1500 || left.Keys+left.Hash > most || left.Keys+left.Hash < most/4 {
				t.Errorf("%+v, %v; copies take %+v", report, err, left)
			}
		})
	}
}

// Many small copies take no more of Redis's memory than they may.
func TestSmallCopiesTakeNoMoreThanTheyMay(t *testing.T) {
	redistest.EachVersion(t, func(t *testing.T, start redistest.StartFunc) {
		w := &fixture{Server: start(t), t: t, now: time.Now()}
		const most = 1 << 20
		for i := range 6000 {
			w.session(registry.Keys, fmt.Sprint("car ", i), "s", old)
		}
		w.run(func(o *cleanup.Options) { o.Undo = cleanup.Undo{For: time.Hour, MaxBytes: most} })
		var used int64
		copies := w.Client.Keys(t.Context(), "streamkeeper:undo:*").Val()
		for _, key := range copies {
			// Beside it, an entry and its place in each of the tables of keys and of ends.
			const tables = 2 * (32 + 16)
			used += w.Client.MemoryUsage(t.Context(), key, 0).Val() + tables
		}
		if used > most || used < most/2 {
			t.Errorf("%d copies take %d of %d bytes", len(copies), used, most)
		}
	})
}

func TestMemoryForCopies(t *testing.T) {
	for _, c := range []struct {
		used, limit int64
		want        bool
	}{{5, 0, true}, {90, 100, true}, {91, 100, false}, {200, 100, false}} {
		if got := cleanup.MayCopy(c.used, c.limit); got != c.want {
			t.Errorf("%d of %d: %t", c.used, c.limit, got)
		}
	}
}
