package cleanup

import (
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/streamkeeper/streamkeeper/buffer"
	"github.com/streamkeeper/streamkeeper/internal/human"
	"github.com/streamkeeper/streamkeeper/internal/redisconn"
)

// record is what a run tells others: the log, the metrics, a plan.
type record struct {
	log         *slog.Logger
	onAction    func(Action)
	onMalformed func(kind string)
	// visit gets the actions of a dry run, which leave no line in the log; nil
	// otherwise.
	visit func(Action)
	// done counts the actions of each kind.
	done   map[Kind]int64
	faults map[string]*tally
	// postponed counts quiet sessions whose messages are not known.
	postponed int64
}

func newRecord(o *Options, visit func(Action)) *record {
	return &record{
		log: o.Log, onAction: o.OnAction, onMalformed: o.OnMalformed, visit: visit,
		done: make(map[Kind]int64), faults: make(map[string]*tally),
	}
}

// tally counts items of one kind, and keeps some as examples.
type tally struct {
	count    int64
	examples []string
}

// How many items of a kind a log line names.
const (
	maxExamples  = 5
	maxProducers = 50
)

// flowing is the tally of sessions that are not updated while their messages
// arrive; they are not malformed.
const flowing = "flowing"

// foreign is the tally of entries that are not RTA's.
const foreign = "foreign"

// fault counts an item. It returns what is kept of the example, "" for nothing.
func (r *record) fault(kind, example string) (kept string) {
	t := r.faults[kind]
	if t == nil {
		t = &tally{}
		r.faults[kind] = t
	}
	most := maxExamples
	if kind == flowing {
		most = maxProducers
	}
	if t.count++; len(t.examples) < most {
		kept = buffer.Escape(example)
		t.examples = append(t.examples, kept)
	}
	return kept
}

// withdraw takes back items that turned out to be something else, and what was
// kept of them.
func (r *record) withdraw(kind string, count int64, kept []string) {
	t := r.faults[kind]
	if t == nil {
		return
	}
	t.examples = slices.DeleteFunc(t.examples, func(example string) bool { return slices.Contains(kept, example) })
	if t.count -= count; t.count <= 0 {
		delete(r.faults, kind)
	}
}

// maxLines is how many actions of a kind leave a line of their own.
const maxLines = 1000

// kinds are the kinds in the order of a summary.
var kinds = []Kind{Expire, Abandon, Retire, Restore, DropName}

// action records one action that was carried out.
func (r *record) action(a Action) {
	r.done[a.Kind]++
	if r.visit != nil {
		r.visit(a)
		return
	}
	r.onAction(a)
	if r.done[a.Kind] > maxLines {
		return
	}
	attrs := []any{"action", string(a.Kind)}
	if a.Kind == Expire || a.Kind == Abandon {
		attrs = append(attrs, "session", buffer.Escape(a.Session))
	}
	attrs = append(attrs, "stream", buffer.Escape(a.Stream))
	if !a.Updated.IsZero() {
		attrs = append(attrs, "updated", a.Updated.Format(time.RFC3339))
	}
	attrs = append(attrs, "reason", a.Reason)
	switch a.Kind {
	case Expire:
		r.log.Info("expired session", attrs...)
	case Abandon:
		r.log.Info("marked session as abandoned", attrs...)
	case Retire:
		r.log.Info("retired stream", attrs...)
	case Restore:
		r.log.Info("restored stream name", attrs...)
	case DropName:
		r.log.Info("dropped stream name", attrs...)
	}
}

// logForeign says what entries are not RTA's, and reports whether there are
// any.
func (r *record) logForeign() bool {
	t := r.faults[foreign]
	if t != nil {
		r.log.Warn("skipped foreign entries", "count", t.count, "examples", t.examples,
			"reason", "no RTA field marks them: SESSIONS_FOREIGN=expire judges them by their time")
	}
	return t != nil
}

// summarize says, once a run, what was found amiss and how much was done.
func (r *record) summarize(report Report) {
	for _, kind := range Kinds {
		t := r.faults[kind]
		if t == nil {
			continue
		}
		r.log.Warn("skipped malformed items", "kind", kind, "count", t.count, "examples", t.examples)
		for range t.count {
			r.onMalformed(kind)
		}
	}
	if t := r.faults[flowing]; t != nil {
		r.log.Warn("sessions not updated while messages arrive", "count", t.count, "sessions", t.examples,
			"remedy", "their producers must update lastUpdated")
	}
	if n := report.SessionsPostponed + r.postponed; n > 0 {
		r.log.Warn("sessions left to a later run", "count", n, "reason", "their messages could not be looked at in this run")
	}
	if report.StreamsPostponed > 0 {
		r.log.Info("streams left to a later run", "count", report.StreamsPostponed, "reason", "too many sessions expire in this run")
	}
	if r.visit != nil {
		return
	}
	for _, kind := range kinds {
		if n := r.done[kind]; n > 0 {
			r.log.Info("actions in total", "action", string(kind), "count", n, "not_listed", max(0, n-maxLines))
		}
	}
}

// examples are the first removals of each kind.
type examples struct {
	actions []Action
	of      map[Kind]int
}

// examplesOfAKind is how many actions of each kind are kept.
const examplesOfAKind = 10

func (e *examples) add(a Action) {
	if a.Kind == Abandon || e.of[a.Kind] >= examplesOfAKind {
		return
	}
	if e.of == nil {
		e.of = make(map[Kind]int)
	}
	e.of[a.Kind]++
	// The names are parts of pages, which are large.
	a.Session, a.Stream = strings.Clone(a.Session), strings.Clone(a.Stream)
	e.actions = append(e.actions, a)
}

// maxFailed is how many failed items a report names.
const maxFailed = 20

// failed counts an item that could not be judged or done.
func (r *run) failed(stream, message string, err error) {
	r.report.Errors++
	class := redisconn.ClassOf(err)
	if len(r.report.Failed) < maxFailed {
		r.report.Failed = append(r.report.Failed, fmt.Sprintf("%s: %s: %v", message, buffer.Quote(stream), err))
	}
	if r.report.Errors <= maxLines {
		r.record.log.Warn("item failed", "what", message, "stream", buffer.Escape(stream), "class", string(class), "error", err)
	}
}

// unknown counts a removal that may have been carried out, wholly or in part.
func (r *run) unknown(err error) {
	r.report.Unknown++
	r.o().OnUnknown(err)
}

// notKnown adds to what broke a run off how much of what it did is not known.
func (r *run) notKnown(err error) error {
	if err == nil || r.report.Unknown == 0 {
		return err
	}
	return fmt.Errorf("%w; %s may have been carried out", err, human.Plural(r.report.Unknown, "other removal"))
}

// skip counts a stream that could not be cleaned up, and ends the run if the way
// to Redis is broken.
func (r *run) skip(stream string, err error) error {
	if err != nil && !redisconn.IsLost(err) {
		r.failed(stream, "stream not cleaned up", err)
		return nil
	}
	return err
}
