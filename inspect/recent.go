package inspect

import (
	"cmp"
	"container/heap"
	"context"
	"hash/maphash"
	"slices"

	"github.com/streamkeeper/streamkeeper/buffer"
)

// activity says how much a stream is due: the run in which it was last looked
// into, and how recently it was active. Streams that were active after the run
// began are all alike, or those asked last would look best; among them chance
// decides, another way in each run.
type activity struct {
	lastRun uint32
	newest  buffer.ID
	tie     uint64
}

// compare is positive if a stream is due before another.
func (a activity) compare(other activity) int {
	return cmp.Or(cmp.Compare(other.lastRun, a.lastRun), a.newest.Compare(other.newest), cmp.Compare(a.tie, other.tie))
}

// ranked is a stream with its place.
type ranked struct {
	target
	activity
}

// ranking keeps the streams that are due first and whose samples together take
// as many bytes as wanted; the last of them is the first. It is a heap.
type ranking struct {
	streams []ranked
	wanted  int64
	bytes   int64
	// dropped is how many found no place.
	dropped int64
}

func (q *ranking) Len() int           { return len(q.streams) }
func (q *ranking) Less(i, j int) bool { return q.streams[i].compare(q.streams[j].activity) < 0 }
func (q *ranking) Swap(i, j int)      { q.streams[i], q.streams[j] = q.streams[j], q.streams[i] }

// Push and Pop serve package heap; see insert.
func (q *ranking) Push(x any) { q.streams = append(q.streams, x.(ranked)) } //nolint:errcheck // only insert pushes

// Pop takes the last one off.
func (q *ranking) Pop() any {
	last := q.streams[len(q.streams)-1]
	q.streams = q.streams[:len(q.streams)-1]
	return last
}

// insert finds a stream its place, and drops those that are not needed.
func (q *ranking) insert(s ranked) {
	heap.Push(q, s)
	q.bytes += s.least
	for q.bytes-q.streams[0].least >= q.wanted {
		last := heap.Pop(q).(ranked) //nolint:errcheck // only insert pushes
		q.bytes -= last.least
		q.dropped++
	}
}

// least is the activity that a stream has to beat, false while there is room.
func (q *ranking) least() (activity, bool) {
	if q.bytes < q.wanted {
		return activity{}, false
	}
	return q.streams[0].activity, true
}

// mostRecent returns the streams that the budget may reach, those first that are
// due first, and counts the others as left. A stream that is known to be
// too long ago is not touched: the server only sees that it has no such id.
func (r *run) mostRecent(ctx context.Context, walk walker) ([]target, error) {
	now, err := r.store.Time(ctx)
	if err != nil {
		return nil, err
	}
	began := buffer.TimeID(now)
	seed := maphash.MakeSeed()
	// A part more than the budget, as what samples take is estimated.
	best := &ranking{wanted: r.o.MaxBytes + r.o.MaxBytes/2}
	err = walk(ctx, func(names []string) error {
		targets, err := r.targets(ctx, names)
		if err != nil {
			return err
		}
		for part := range slices.Chunk(r.admit(targets), pipelineCalls/2) {
			if err := r.rank(ctx, best, part, began, seed); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	slices.SortFunc(best.streams, func(a, b ranked) int { return b.compare(a.activity) })
	// The walk may have come upon a name twice, with the same tie.
	unique := slices.CompactFunc(best.streams, func(a, b ranked) bool { return a.name == b.name })
	r.report.StreamsLeft += best.dropped
	targets := make([]target, len(unique))
	for i, s := range unique {
		targets[i] = s.target
	}
	return targets, nil
}

// rank asks a few streams for their newest id, where that could matter.
func (r *run) rank(ctx context.Context, best *ranking, targets []target, began buffer.ID, seed maphash.Seed) error {
	least, full := best.least()
	var asked []ranked
	var peeks []buffer.PeekRequest
	for _, t := range targets {
		s := ranked{t, activity{r.memory.lastRun(t.name), began, maphash.String(seed, t.name)}}
		if full && s.compare(least) < 0 {
			best.dropped++
			continue
		}
		asked = append(asked, s)
		peek := buffer.PeekRequest{Stream: t.name, Last: true}
		if full && s.lastRun == least.lastRun {
			peek.From = least.newest
		}
		peeks = append(peeks, peek)
	}
	if len(peeks) == 0 {
		return nil
	}
	found, err := r.store.Peeks(ctx, peeks)
	if err != nil {
		return err
	}
	for i, s := range asked {
		switch {
		case found[i].Err != nil:
			r.failed(s.name, found[i].Err)
		case !found[i].Found:
			best.dropped++
		default:
			if found[i].ID.Less(began) {
				s.newest = found[i].ID
			}
			best.insert(s)
		}
	}
	return nil
}
