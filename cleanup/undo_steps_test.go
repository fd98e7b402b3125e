package cleanup_test

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/streamkeeper/streamkeeper/buffer/registry"
	"github.com/streamkeeper/streamkeeper/cleanup"
)

// Wherever a run is cut off, a session is in its place or a copy, and comes back
// once.
func TestCutOffAtAnyStepOfARunNothingIsLost(t *testing.T) {
	t.Parallel()
	for _, layout := range registry.Layouts() {
		t.Run(string(layout), func(t *testing.T) {
			t.Parallel()
			w := newFixture(t)
			prepare := func() {
				w.Client.FlushDB(t.Context())
				for i := range 3 {
					w.session(layout, fmt.Sprint("stale ", i), "s", old)
				}
				w.session(layout, "live", "s", fresh)
			}
			for _, cut := range w.runCuts(withUndo, prepare) {
				prepare()
				before := w.registryContent()
				w.runCutAt(cut, withUndo)
				w.comesBackOnce(fmt.Sprintf("cut off before command %d", cut), before)
			}
		})
	}
}

// onEachServer runs a test in each layout, on a single server and in a cluster. There
// only the scripts count as steps, which alone change something: the rest is as on a
// single server, and where the keyspace is scanned each of 16 384 slots is asked for.
func onEachServer(t *testing.T, test func(t *testing.T, w *fixture, layout registry.Layout)) {
	for _, layout := range registry.Layouts() {
		t.Run(string(layout), func(t *testing.T) {
			t.Parallel()
			test(t, newFixture(t), layout)
		})
		t.Run(string(layout)+", cluster", func(t *testing.T) {
			t.Parallel()
			w := newClusterFixture(t)
			w.layouts, w.only = []registry.Layout{layout}, "evalsha"
			test(t, w, layout)
		})
	}
}

// taskCuts are the cuts of a task on what prepare makes.
func (w *fixture) taskCuts(task string, prepare func()) []int {
	w.t.Helper()
	return w.cuts(w.commands(prepare, func(before func(int, string) error) error {
		return child(w.t.Context(), w.through(before).url(), w.layouts, task)
	}))
}

func TestAProcessThatIsKilledWhileItKeepsCopiesLosesNothing(t *testing.T) {
	t.Parallel()
	const task = "clean up, keep copies"
	onEachServer(t, func(t *testing.T, w *fixture, layout registry.Layout) {
		prepare := func() {
			w.Client.FlushDB(t.Context())
			w.session(layout, "stale", "s", old)
		}
		for _, cut := range w.taskCuts(task, prepare) {
			prepare()
			before := w.registryContent()
			w.killedAt(cut, task)
			w.comesBackOnce(fmt.Sprintf("killed before command %d", cut), before)
		}
	})
}

// Wherever an undo is killed, each session is there or its copy is, never both.
func TestAProcessThatIsKilledWhileItPutsBackLosesNothing(t *testing.T) {
	t.Parallel()
	const task = "put back"
	onEachServer(t, func(t *testing.T, w *fixture, layout registry.Layout) {
		var content map[string]string
		prepare := func() { content = w.expiredPair(layout) }
		for _, cut := range w.taskCuts(task, prepare) {
			prepare()
			w.killedAt(cut, task)
			what := fmt.Sprintf("killed before command %d", cut)
			if there, copies := len(w.sessions()), len(w.copies()); there+copies != 2 {
				t.Errorf("%s: %d sessions and %d copies", what, there, copies)
			}
			w.comesBackOnce(what, content)
		}
	})
}

// comesBackOnce has all copies put back, and expects the registry as it was.
func (w *fixture) comesBackOnce(what string, before map[string]string) {
	w.t.Helper()
	if ended, err := w.undo(w.shared()); err != nil || slices.Contains(ended, registry.Exists) || slices.Contains(ended, registry.NoCopy) {
		w.t.Errorf("%s: %v, %v", what, ended, err)
	}
	if after := w.registryContent(); !maps.Equal(before, after) {
		w.t.Errorf("%s: before %q, after %q", what, before, after)
	}
}

// expiredPair has two sessions expire, and says what the registry held.
func (w *fixture) expiredPair(layout registry.Layout) map[string]string {
	w.t.Helper()
	w.Client.FlushDB(w.t.Context())
	w.session(layout, "a", "s", old)
	w.session(layout, "b", "s", old)
	content := w.registryContent()
	_, err := cleanup.New(w.shared(), w.options(withUndo)).Run(w.t.Context())
	w.noError(err)
	if copies, left := len(w.copies()), w.registryContent(); copies != 2 || len(left) != 0 {
		w.t.Fatalf("%d copies, and %q left", copies, left)
	}
	return content
}
