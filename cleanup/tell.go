package cleanup

import (
	"time"

	"github.com/streamkeeper/streamkeeper/buffer"
)

// tally counts items of one kind, and keeps some as examples.
type tally struct {
	count    int64
	examples []string
}

// maxExamples is how many items of a kind a log line names.
const maxExamples = 5

// stillFlowing is the tally of sessions whose messages still flow; they are
// not malformed.
const stillFlowing = "still_flowing"

func (r *run) fault(kind, example string) {
	t := r.faults[kind]
	if t == nil {
		t = &tally{}
		r.faults[kind] = t
	}
	if t.count++; len(t.examples) < maxExamples {
		t.examples = append(t.examples, buffer.Escape(example))
	}
}

// tell reports, once a run, what was found amiss, and how many actions left no
// line of their own.
func (r *run) tell() {
	for _, kind := range Kinds {
		t := r.faults[kind]
		if t == nil {
			continue
		}
		r.o.Log.Warn("left alone, as not as it should be", "kind", kind, "count", t.count, "examples", t.examples)
		for range t.count {
			r.o.OnMalformed(kind)
		}
	}
	if t := r.faults[stillFlowing]; t != nil {
		r.o.Log.Warn("sessions expire while their messages still flow: their producers must update lastUpdated",
			"count", t.count, "examples", t.examples)
	}
	if more := r.records - maxRecords; more > 0 {
		r.o.Log.Info("cleaned up more, not listed one by one", "count", more)
	}
}

// maxRecords is how many actions of a run leave a line of their own.
const maxRecords = 1000

// done leaves the record of one action.
func (r *run) done(a Action) {
	r.o.OnAction(a)
	if r.records++; r.records > maxRecords {
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
	if a.Kind == Abandon {
		r.o.Log.Info("marked as abandoned", attrs...)
		return
	}
	r.o.Log.Info("removed or restored", attrs...)
}

// failed counts an item that could not be done, and ends the run if the way
// to Redis is broken.
func (r *run) failed(stream string, err error) error {
	if buffer.IsLost(err) {
		return err
	}
	r.report.Errors++
	r.o.Log.Warn("stream not cleaned up", "stream", buffer.Escape(stream), "class", string(buffer.ClassOf(err)), "error", err)
	return nil
}
