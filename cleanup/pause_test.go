package cleanup_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/streamkeeper/streamkeeper/buffer/registry"
	"github.com/streamkeeper/streamkeeper/cleanup"
)

func pausedBy(stops func(stream string) bool) func(*cleanup.Options) {
	return func(o *cleanup.Options) {
		o.Paused = func(context.Context) (func(string) bool, error) { return stops, nil }
	}
}

func TestWhatIsPausedIsNeitherExpiredNorRetired(t *testing.T) {
	t.Parallel()
	for _, layout := range registry.Layouts() {
		t.Run(string(layout), func(t *testing.T) {
			t.Parallel()
			w := newFixture(t)
			for _, name := range []string{"rocket", "car"} {
				w.session(layout, "stale of "+name, name, old)
				w.stream(name, older)
				w.stream("dead "+name, older)
			}
			rocket := pausedBy(func(stream string) bool { return stream == "rocket" || stream == "dead rocket" })
			planned, actions := w.plan(rocket)
			if planned.SessionsPaused != 1 || planned.StreamsPaused != 1 || planned.SessionsExpired != 1 || planned.StreamsRetired != 2 || len(actions) != 3 {
				t.Errorf("the plan is %+v, %+v", planned, actions)
			}
			if r := w.run(rocket); r.SessionsPaused != 1 || r.StreamsPaused != 1 || r.SessionsExpired != 1 || r.StreamsRetired != 2 || r.SessionsStale != 2 {
				t.Errorf("%+v", r)
			}
			if r := w.run(pausedBy(func(string) bool { return true })); r.SessionsExpired+r.StreamsRetired != 0 || r.SessionsPaused != 1 {
				t.Errorf("%+v", r)
			}
			if r := w.run(nil); r.SessionsExpired != 1 || r.StreamsRetired != 2 {
				t.Errorf("%+v", r)
			}
		})
	}
}

func TestAPauseInTheMiddleOfACleanUpStopsIt(t *testing.T) {
	t.Parallel()
	w := newFixture(t)
	for i := range 3000 {
		w.session(registry.Object, fmt.Sprint("stale ", i), "rocket", old)
	}
	w.stream("rocket", older)
	var paused bool
	r := w.run(func(o *cleanup.Options) {
		pausedBy(func(string) bool { return paused })(o)
		o.OnAction = func(cleanup.Action) { paused = true }
	})
	left := w.Client.HLen(t.Context(), "sessions").Val()
	if r.SessionsExpired == 0 || r.SessionsExpired+left != 3000 || left == 0 || r.StreamsRetired != 0 {
		t.Errorf("%+v, and %d sessions are left", r, left)
	}
}

func TestRestoringGoesOnInAPauseAndTheGuardsTimeToo(t *testing.T) {
	t.Parallel()
	w := newFixture(t)
	w.stream("rocket", older)
	if r := w.run(nil); r.StreamsRetired != 1 {
		t.Fatalf("%+v", r)
	}
	w.entry("rocket", fresh)
	if r := w.run(pausedBy(func(string) bool { return true })); r.StreamsRestored != 1 {
		t.Errorf("%+v", r)
	}
	for i := range 40 {
		w.session(registry.Object, fmt.Sprint("stale ", i), "car", old)
	}
	guarded := func(o *cleanup.Options) { o.Guard = cleanup.DefaultGuard }
	first := w.run(guarded)
	w.run(func(o *cleanup.Options) {
		guarded(o)
		pausedBy(func(string) bool { return true })(o)
	})
	if second := w.run(guarded); first.Guard == "" || second.GuardSince.UnixMilli() != first.GuardSince.UnixMilli() {
		t.Errorf("the guard holds since %s, and then since %s", first.GuardSince, second.GuardSince)
	}
}

func TestWherePausesCannotBeReadNothingIsCleanedUp(t *testing.T) {
	t.Parallel()
	w := newFixture(t)
	w.session(registry.Object, "stale", "rocket", old)
	unknown := errors.New("not known")
	o := w.options(func(o *cleanup.Options) {
		o.Paused = func(context.Context) (func(string) bool, error) { return nil, unknown }
	})
	if r, err := cleanup.New(w.open(w.URL(), nil), o).Run(t.Context()); !errors.Is(err, unknown) || r.SessionsExpired != 0 {
		t.Errorf("%+v, %v", r, err)
	}
}
