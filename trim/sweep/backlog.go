package sweep

import (
	"cmp"
	"context"
	"slices"

	"github.com/streamkeeper/streamkeeper/buffer"
	"github.com/streamkeeper/streamkeeper/trim"
)

// maxMeasured is how many backlogs are measured where they are not known.
const maxMeasured = 1000

// dropped are the streams that the queue had no room for: what goes from each, negative
// if only Redis knows.
type dropped map[string]int64

// add takes in a step of a stream.
func (d dropped) add(stream string, left int64) {
	if have, known := d[stream]; known && (have < 0 || left >= 0 && have > left) {
		return
	}
	d[stream] = left
}

func (d dropped) streams() int { return len(d) }

// backlog is how many entries are left to the next run. Those beyond what is measured
// are taken for as many as the others in the mean.
func (r *run) backlog(ctx context.Context, left []backlog) (entries int64, err error) {
	var aged []string
	limits := make(map[string]buffer.ID)
	known, unknown := int64(0), int64(0)
	for i := range left {
		b := &left[i]
		switch {
		case !slices.ContainsFunc(b.steps, func(s step) bool { return s.left < 0 }):
			most := slices.MaxFunc(b.steps, func(a, b step) int { return cmp.Compare(a.left, b.left) })
			known, entries = known+1, entries+most.left
		case len(aged) < maxMeasured:
			aged = append(aged, b.stream.name)
			limits[b.stream.name] = b.stream.ageLimit
		default:
			unknown++
		}
	}
	for _, n := range r.queue.dropped {
		if n < 0 {
			unknown++
		} else {
			known, entries = known+1, entries+n
		}
	}
	infos, err := r.s.store.Infos(ctx, aged)
	if err != nil {
		return entries, err
	}
	measured := int64(0)
	for i, name := range aged {
		measured += max(1, infos[i].Length-trim.EstimateAbove(infos[i], limits[name]))
	}
	perStream := float64(measured) / float64(max(1, len(aged)))
	if len(aged) == 0 {
		perStream = float64(entries) / float64(max(1, known))
	}
	return entries + measured + int64(perStream*float64(unknown)), nil
}
