package sweep

import (
	"log/slog"
	"slices"
	"strings"

	"github.com/streamkeeper/streamkeeper/buffer"
	"github.com/streamkeeper/streamkeeper/trim"
)

// maxWaiting is how many streams wait for their backlog to be removed before
// that begins.
const maxWaiting = 10_000

// backlog is a stream that has more to lose than a first call takes.
type backlog struct {
	stream stream
	// steps are what is still to be done, one after the other.
	steps []step
}

// step is what is left of a step of a cut.
type step struct {
	by trim.Reason
	// call is the command, without a limit.
	call buffer.TrimRequest
	// over is how many entries were over the limit when the run decided, and left
	// how many of them are still to go; negative if only Redis knows.
	over, left int64
	// atLeast is a limit below which the stream's first macro node does not fit.
	atLeast int64
	// exact removes single entries, at most so many a call.
	exact      bool
	exactSlice int64
	// inNode: these are more than a node usually holds, and free nothing until their
	// node is empty. used is what the stream took before, 0 if that is not known.
	inNode, measured bool
	used             int64
}

// toExact goes over to removing single entries of a stream.
func (s *step) toExact(c *stream) {
	s.exact, s.exactSlice = true, fewEntries
	most := s.left
	if most < 0 {
		most = c.stats.OldEntries
	}
	s.inNode = most > buffer.DefaultNodeLimits.Entries
}

// logLargeNode says that approximate trimming becomes exact in a stream.
func logLargeNode(log *slog.Logger, c *stream) {
	if !c.policy.Exact {
		log.Debug("macro node too large, removing entries", "stream", buffer.Escape(c.name), "memory", "freed once the node is empty")
	}
}

// queue is the backlogs of a run, a stream once.
type queue struct {
	waiting []backlog
	// indexes are where they stand.
	indexes map[string]int
	// dropped are those that there was no room for.
	dropped dropped
}

func newQueue() *queue { return &queue{indexes: make(map[string]int), dropped: make(dropped)} }

func (q *queue) len() int { return len(q.waiting) }

func (q *queue) has(stream string) bool {
	_, queued := q.indexes[stream]
	return queued
}

// isDropped reports whether there was no room for a stream.
func (q *queue) isDropped(stream string) bool {
	_, is := q.dropped[stream]
	return is
}

// add queues a step of a stream. When time has run out and the queue is full,
// the next run will come upon the stream anyway.
func (q *queue) add(c *stream, s step) {
	i, queued := q.indexes[c.name]
	if !queued {
		if len(q.waiting) > 2*maxWaiting {
			q.dropped.add(strings.Clone(c.name), s.left)
			return
		}
		i = len(q.waiting)
		q.indexes[c.name] = i
		q.waiting = append(q.waiting, backlog{stream: *c})
	}
	b := &q.waiting[i]
	if !slices.ContainsFunc(b.steps, func(have step) bool { return have.by == s.by }) {
		b.stream, b.steps = *c, append(b.steps, s)
	}
}

// take empties the queue, those that the last run left first.
func (q *queue) take(carriedOver map[string]bool) []backlog {
	all := q.waiting
	q.waiting, q.indexes = nil, make(map[string]int)
	if len(carriedOver) == 0 {
		return all
	}
	slices.SortStableFunc(all, func(a, b backlog) int {
		switch old := carriedOver[a.stream.name]; {
		case old == carriedOver[b.stream.name]:
			return 0
		case old:
			return -1
		}
		return 1
	})
	return all
}

// put puts back what is not done.
func (q *queue) put(left []backlog) {
	for _, b := range left {
		q.indexes[b.stream.name] = len(q.waiting)
		q.waiting = append(q.waiting, b)
	}
}
