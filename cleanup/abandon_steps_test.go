package cleanup_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/streamkeeper/streamkeeper/buffer/registry"
	"github.com/streamkeeper/streamkeeper/burst"
	"github.com/streamkeeper/streamkeeper/cleanup"
	"github.com/streamkeeper/streamkeeper/inspect"
)

// returning has one session that is to be marked.
func (w *fixture) returning(layout registry.Layout, enc burst.Encoding) {
	w.Client.FlushAll(w.t.Context())
	w.described(layout, "a", "s", 7, quiet, stated(`"open"`))
	w.message("s", 7, quiet, enc)
}

// abandonCuts are the cuts of a run that marks the session.
func (w *fixture) abandonCuts(layout registry.Layout) []int {
	w.t.Helper()
	cuts := w.runCuts(abandoning, func() { w.returning(layout, burst.Frame) })
	w.abandoned(layout, "undisturbed", 1)
	return cuts
}

// abandoned checks that the session is marked, and how often that was told.
func (w *fixture) abandoned(layout registry.Layout, what string, times int) {
	w.t.Helper()
	if got := w.sessionJSON(layout, "a"); got != stated(`"abandoned"`) {
		w.t.Errorf("%s: the Session JSON is %s", what, got)
	}
	if told := w.told("s", 7); len(told) != 1+times || told[len(told)-1] != stated(`"abandoned"`) {
		w.t.Errorf("%s: the readers were told %q", what, told)
	}
}

// Each way to return has a session and a stream of its own, so that all come at the
// same step of one run.
func TestAProducerThatReturnsAtAnyStepWins(t *testing.T) {
	t.Parallel()
	back := strings.Replace(stated(`"open"`), "1.50", "2", 1)
	const json, message, again = "updates its JSON alone", "sends, and then updates", "refreshes the same entry"
	ways := []string{"updates its entry", json, message, again}
	for _, layout := range registry.Layouts() {
		t.Run(string(layout), func(t *testing.T) {
			w := newFixture(t)
			prepare := func() {
				w.Client.FlushAll(t.Context())
				for _, way := range ways {
					w.described(layout, way, way, 7, quiet, stated(`"open"`))
					w.message(way, 7, quiet, burst.Frame)
				}
			}
			come := func() {
				w.described(layout, ways[0], ways[0], 7, fresh, back)
				w.described(layout, json, json, 7, quiet, back)
				w.message(message, 7, 0, burst.Frame)
				w.described(layout, message, message, 7, 0, back)
				w.described(layout, again, again, 7, fresh, stated(`"open"`))
			}
			steps := w.differentSteps(abandoning, prepare)
			for _, way := range ways {
				if got := w.sessionJSON(layout, way); got != stated(`"abandoned"`) {
					t.Fatalf("undisturbed, the Session JSON is %s", got)
				}
			}
			for _, step := range steps {
				prepare()
				w.noError(w.stepped(abandoning, func(n int, _ string) error {
					if n == step {
						come()
					}
					return nil
				}))
				for _, way := range ways {
					got := w.sessionJSON(layout, way)
					wins := burst.State([]byte(got)) == burst.StateOpen
					if way == json {
						// It is as quiet as before, so what it wrote may be marked.
						wins = strings.Contains(got, `"n":2,`)
					}
					if !wins {
						t.Errorf("it %s before command %d: %s", way, step, got)
					}
				}
			}
			t.Logf("at %d commands of %d", len(steps), steps[len(steps)-1])
		})
	}
}

func TestAMessageThatComesAtAnyStepIsHeeded(t *testing.T) {
	t.Parallel()
	w := newFixture(t)
	prepare := func() { w.returning(registry.Keys, burst.Frame) }
	for _, step := range w.differentSteps(abandoning, prepare) {
		prepare()
		w.noError(w.stepped(abandoning, func(n int, _ string) error {
			if n == step {
				w.message("s", 7, 0, burst.Frame)
			}
			return nil
		}))
		told := w.told("s", 7)
		marked := slices.Index(told, stated(`"abandoned"`))
		if open := w.sessionJSON(registry.Keys, "a") == stated(`"open"`); marked < 0 != open || marked == 2 {
			t.Errorf("before command %d: told %q, and the entry is open: %v", step, told, open)
		}
	}
}

func TestCutOffAtAnyStepALaterRunMarksTheSession(t *testing.T) {
	t.Parallel()
	for _, layout := range registry.Layouts() {
		t.Run(string(layout), func(t *testing.T) {
			w := newFixture(t)
			cuts := w.abandonCuts(layout)
			for i := range 2 * len(cuts) {
				cut, enc := cuts[i%len(cuts)], burst.Encodings()[i%len(burst.Encodings())]
				what := fmt.Sprintf("cut off before command %d, %s", cut, enc)
				w.returning(layout, enc)
				w.runCutAt(cut, abandoning)
				if i >= len(cuts) {
					// Another session's message hides our own.
					w.message("s", 8, 0, enc)
				}
				w.run(abandoning)
				w.abandoned(layout, what, 1)
				w.inspectedAll("s", enc)
			}
		})
	}
}

// inspectedAll has the inspector read a stream.
func (w *fixture) inspectedAll(stream string, enc burst.Encoding) {
	w.t.Helper()
	inspector := inspect.New(w.open(w.URL(), nil), inspect.Options{Samples: 10, MaxBytes: 1 << 20})
	_, err := inspector.Run(w.t.Context(), func(m inspect.Message) {
		if m.Stream == stream && (m.Verdict != burst.OK || m.Encoding != enc) {
			w.t.Errorf("the inspector says of %s: %s %q, in %s", m.ID, m.Verdict, m.Reasons, m.Encoding)
		}
	})
	w.noError(err)
}

func TestAProcessThatIsKilledAtAnyStepLeavesALaterRunToMark(t *testing.T) {
	t.Parallel()
	w := newFixture(t)
	for _, cut := range w.abandonCuts(registry.Keys) {
		w.returning(registry.Keys, burst.Frame)
		w.killedAt(cut, "clean up, abandon")
		w.run(abandoning)
		w.abandoned(registry.Keys, fmt.Sprintf("killed before command %d", cut), 1)
	}
}

// A producer returns to one session after the other from the moment when
// clean-up has marked the first.
func TestNoRefreshedSessionEndsUpAbandoned(t *testing.T) {
	t.Parallel()
	// Rounds in which the two met say something; there are more until enough did.
	const sessions, rounds, enough = 300, 12, 2
	for _, layout := range registry.Layouts() {
		t.Run(string(layout), func(t *testing.T) {
			w := newFixture(t)
			w.message("s", 1, quiet, burst.SizePrefixedBlock)
			b := w.open(w.URL(), nil)
			lost, met := 0, 0
			for round := 0; round < rounds && met < enough; round++ {
				for i := range sessions {
					w.described(layout, fmt.Sprint(i), "s", 1000+i, quiet, stated(`"open"`))
				}
				var producer sync.WaitGroup
				begin := sync.OnceFunc(func() {
					producer.Go(func() {
						for i := range sessions {
							w.described(layout, fmt.Sprint(i), "s", 1000+i, quiet, stated("2"))
						}
					})
				})
				report, err := cleanup.New(b, w.options(func(o *cleanup.Options) {
					abandoning(o)
					o.OnAction = func(cleanup.Action) { begin() }
				})).Run(t.Context())
				begin()
				producer.Wait()
				if err != nil || report.Errors != 0 {
					t.Fatalf("round %d: %+v, %v", round, report, err)
				}
				marked := 0
				for i := range sessions {
					switch got := w.sessionJSON(layout, fmt.Sprint(i)); got {
					case stated(`"abandoned"`):
						lost++
					case stated("44"):
						marked++ // quiet again, and marked as such
					case stated("2"):
					default:
						t.Fatalf("the Session JSON is %s", got)
					}
				}
				if int64(marked) < report.SessionsAbandoned {
					met++
				}
			}
			if lost > 0 || met == 0 {
				t.Errorf("%d sessions lost what their producer wrote, in %d rounds both met", lost, met)
			}
		})
	}
}
