package sweep

import (
	"github.com/streamkeeper/streamkeeper/buffer"
	"github.com/streamkeeper/streamkeeper/trim"
)

// outcome is what one call did to a stream.
type outcome struct {
	stream string
	by     trim.Reason
	result buffer.TrimResult
	// freed is about how many bytes the removed entries took.
	freed int64
	// isFirst: the stream lost nothing in this run before.
	isFirst bool
}

// outcome takes in what a call did to the stream. Entries that went inside a macro node
// which stays free nothing.
func (c *stream) outcome(by trim.Reason, result buffer.TrimResult, inNode bool) outcome {
	o := outcome{stream: c.name, by: by, result: result, isFirst: c.removed == 0}
	c.failed = c.failed || result.Err != nil
	if result.Err == nil {
		if inNode {
			c.inNode += result.Removed
		} else {
			o.freed = result.Removed * c.entryBytes
		}
		c.removed += result.Removed
		c.since += result.Removed
		c.freed += o.freed
	}
	if !result.Floor.IsZero() {
		c.floor, c.floorGroup = result.Floor, result.FloorGroup
	}
	c.held = result.HeldBy != ""
	return o
}

// wasSent reports whether a call of a pipeline that broke was answered, or may have been
// carried out.
func wasSent(r buffer.TrimResult) bool { return r.Err == nil || r.Unknown }

// sentOf are the outcomes of the calls of a pipeline that broke, but for those that were
// not sent.
func sentOf(group []backlog, results []buffer.TrimResult) (all []outcome) {
	for i, result := range results {
		if wasSent(result) {
			all = append(all, group[i].stream.outcome(group[i].steps[0].by, result, group[i].steps[0].inNode))
		}
	}
	return all
}

// take counts what one call did.
func (r *run) take(o outcome) {
	if o.result.Unknown {
		r.tally.unanswered(o)
	}
	if o.result.Err != nil {
		r.tally.failed(o.stream, o.result.Err)
		return
	}
	if o.result.Removed == 0 && o.freed > 0 {
		r.tally.freed(o.stream, o.by, o.freed)
		return
	}
	r.tally.removed(o)
	if r.s.o.RespectGroups {
		r.groups.noteConsumerless(o.stream, o.result.WithoutConsumers, r.now)
		r.tally.hold(o.stream, o.result.HeldBy)
	}
}
