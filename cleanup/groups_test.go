package cleanup_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/streamkeeper/streamkeeper/buffer/registry"
	"github.com/streamkeeper/streamkeeper/cleanup"
	"github.com/streamkeeper/streamkeeper/internal/redistest"
)

// group makes a consumer group without consumers.
func (w *fixture) group(stream, name string) {
	w.t.Helper()
	if err := w.Client.XGroupCreate(w.t.Context(), "stream:"+stream, name, "$").Err(); err != nil {
		w.t.Fatal(err)
	}
}

// groupNoted writes since when a group is known to have no consumers.
func (w *fixture) groupNoted(stream, name string, age time.Duration) {
	member := fmt.Sprintf("%d:%s%s", len(stream), stream, name)
	w.Client.ZAdd(w.t.Context(), "streamkeeper:groups", redis.Z{Score: float64(w.now.Add(-age).UnixMilli()), Member: member})
}

// noted are the groups that are noted.
func (w *fixture) noted() []string {
	return w.Client.ZRange(w.t.Context(), "streamkeeper:groups", 0, -1).Val()
}

// planAndRun checks that a plan, which writes nothing, and then a run retire
// just these streams.
func (w *fixture) planAndRun(change func(*cleanup.Options), want ...string) {
	w.t.Helper()
	noted, left := w.noted(), w.keys()
	_, actions := w.plan(change)
	var planned []string
	for _, a := range actions {
		if a.Kind == cleanup.Retire {
			planned = append(planned, a.Stream)
		}
	}
	slices.Sort(planned)
	w.expect("plan retires", planned, want...)
	w.expect("noted after plan", w.noted(), noted...)
	w.run(change)
	var gone []string
	for _, name := range left {
		if w.Client.Exists(w.t.Context(), "stream:"+name).Val() == 0 {
			gone = append(gone, name)
		}
	}
	w.expect("retired", gone, want...)
}

func TestAGroupWithoutConsumersKeepsItsStreamUntilItIsKnownToBeSo(t *testing.T) {
	redistest.EachVersion(t, func(t *testing.T, start redistest.StartFunc) {
		t.Parallel()
		newFixture := func(t *testing.T) *fixture { return &fixture{Server: start(t), t: t, now: time.Now()} }
		t.Run("just made", func(t *testing.T) {
			w := newFixture(t)
			w.stream("car", older)
			w.group("car", "g")
			w.planAndRun(nil)
			w.expect("noted", w.noted(), "3:carg")
			// The next one does not begin anew.
			first := w.Client.ZScore(t.Context(), "streamkeeper:groups", "3:carg").Val()
			w.planAndRun(nil)
			if again := w.Client.ZScore(t.Context(), "streamkeeper:groups", "3:carg").Val(); again != first {
				t.Errorf("noted at %f, and then at %f", first, again)
			}
		})
		t.Run("for long", func(t *testing.T) {
			w := newFixture(t)
			for _, name := range []string{"both", "long", "one", "short"} {
				w.stream(name, older)
				w.group(name, "g")
			}
			w.group("both", "h")
			w.group("one", "h")
			w.groupNoted("long", "g", old)
			w.groupNoted("short", "g", time.Hour)
			w.groupNoted("both", "g", old)
			w.groupNoted("both", "h", old)
			w.groupNoted("one", "h", old)
			w.planAndRun(nil, "both", "long")
			// What was noted of those that are gone goes too.
			w.expect("noted", w.noted(), "3:oneh", "5:shortg", "3:oneg")
			// Trimming's limit holds where it is longer.
			w.groupNoted("short", "g", old)
			w.planAndRun(func(o *cleanup.Options) { o.Limits.GroupIdleAfter = older })
			w.planAndRun(nil, "short")
		})
		t.Run("never an entry", func(t *testing.T) {
			w := newFixture(t)
			for _, name := range []string{"long", "new"} {
				w.Client.SAdd(t.Context(), "streams", name)
				w.Client.XGroupCreateMkStream(t.Context(), "stream:"+name, "g", "$")
				w.sighted(name, old)
			}
			w.groupNoted("long", "g", old)
			w.planAndRun(nil, "long")
		})
		t.Run("consumers in between", func(t *testing.T) {
			w := newFixture(t)
			w.stream("car", older)
			w.group("car", "g")
			w.groupNoted("car", "g", old)
			w.Client.XGroupCreateConsumer(t.Context(), "stream:car", "g", "c")
			w.planAndRun(nil)
			w.expect("noted", w.noted())
			w.Client.XGroupDelConsumer(t.Context(), "stream:car", "g", "c")
			w.planAndRun(nil)
			w.expect("noted", w.noted(), "3:carg")
		})
		t.Run("a session owns the stream", func(t *testing.T) {
			w := newFixture(t)
			w.stream("car", older)
			w.session(registry.Keys, "s", "car", fresh)
			w.group("car", "g")
			w.groupNoted("car", "g", old)
			w.groupNoted("car", "gone", old)
			w.groupNoted("unlisted", "g", old)
			w.planAndRun(nil)
			w.expect("noted", w.noted(), "3:carg")
		})
		t.Run("cannot be noted", func(t *testing.T) {
			w := newFixture(t)
			w.stream("car", older)
			w.stream("free", older)
			w.group("car", "g")
			w.Client.Set(t.Context(), "streamkeeper:groups", "taken", 0)
			w.planAndRun(nil, "free")
			if got := w.Client.Get(t.Context(), "streamkeeper:groups").Val(); got != "taken" {
				t.Errorf("the key holds %q", got)
			}
			w.Client.Del(t.Context(), "streamkeeper:groups")
			w.stream("free", older)
			w.Client.ConfigSet(t.Context(), "maxmemory", "1")
			w.planAndRun(nil, "free")
		})
	})
}
