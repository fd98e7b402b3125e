package trim

import (
	"context"
	"errors"
	"slices"

	"github.com/streamkeeper/streamkeeper/buffer"
)

// visit looks at the streams that may have something to lose: at those that
// grow while it is certain that no other did, else at every one.
func (r *run) visit(ctx context.Context) error {
	why, err := r.visitDue(ctx)
	if err != nil || why == "" {
		return err
	}
	r.o.Log.Debug("every stream is visited", "why", string(why))
	return r.visitAll(ctx, why)
}

// visitDue visits the streams that grow, or says why all have to be visited.
func (r *run) visitDue(ctx context.Context) (whyAll, error) {
	g := r.growth
	if !r.byAge {
		return noClock, nil
	}
	if r.revisit.Swap(false) {
		g.close()
	}
	if why := g.mustVisitAll(r.now); why != "" {
		return why, nil
	}
	due := g.due()
	census, err := r.store.Census(ctx, due)
	if err != nil {
		r.uncounted(err)
		return notKnown, nil
	}
	if why := g.settle(r.now, due, census); why != "" {
		return why, nil
	}
	all := r.candidates(due)
	for i := range all {
		// A length that the census lacks is asked for again, to learn why.
		if length := census.Lengths[i]; length.Err == nil {
			all[i].length, all[i].measured = length.Entries, true
		}
	}
	r.report.Streams = g.streams
	return "", r.inPages(ctx, func(_ context.Context, page func([]candidate) error) error {
		for part := range slices.Chunk(all, visitPage) {
			if err := page(part); err != nil {
				return err
			}
		}
		return nil
	})
}

// visitPage is how many streams are visited together.
const visitPage = 128

// visitAll visits every stream. If they are followed, it learns which grow.
func (r *run) visitAll(ctx context.Context, why whyAll) error {
	if r.byAge && r.growth.follows() && why != pausing {
		r.learning = r.open(ctx)
		r.afresh = why == longAgo
	}
	if err := r.pass(ctx); err != nil {
		return err
	}
	r.forgetGroups()
	if !r.learning || r.report.Errors > 0 || r.drainedEarly {
		r.growth.close()
		return nil
	}
	r.growth.walked(r.now, r.report.Streams)
	return nil
}

// open opens the books, if that can be done.
func (r *run) open(ctx context.Context) bool {
	due := r.growth.due()
	census, err := r.store.Census(ctx, due)
	if err != nil {
		r.uncounted(err)
		return false
	}
	r.growth.open(r.now, due, census)
	return true
}

// uncounted goes on without books. Where the server says for good that it has
// none, they are not tried again.
func (r *run) uncounted(err error) {
	if errors.Is(err, buffer.ErrUncounted) {
		r.growth.stop()
		r.o.Log.Info("each run visits every stream", "why", err)
		return
	}
	r.o.Log.Debug("cannot tell which streams grow", "error", err)
}

// measured notes how long a stream is, in a walk that learns which grow. It is
// called as the length is read, before others can be told what they removed.
func (r *run) measured(c *candidate) {
	if r.learning {
		r.growth.measured(c.name, c.length, r.now)
	}
}

// looksAhead reports whether a stream is asked for entries that become too old
// before all streams are visited again: one that rests, each time; one that is
// visited in each run although it does not grow, when the last look is long ago.
func (r *run) looksAhead(stream string) bool {
	return r.learning && (!r.growth.has(stream) || r.afresh && !r.growth.grows(stream, r.now))
}

// sortOut finds the streams that need not be visited until all are: they do not
// grow, and have nothing to lose until then.
func (r *run) sortOut(_ context.Context, page []candidate) error {
	if !r.learning {
		return nil
	}
	for i := range page {
		c := &page[i]
		left := c.length - c.gone
		ages := c.policy.MaxAge > 0 && c.timeIDs && left > 0
		switch {
		case c.skip, r.growth.grows(c.name, r.now):
		case r.isOver(c, left), ages && c.soon:
			r.growth.keep(c.name, left)
		case ages && !c.ahead:
			// Nobody looked: it stays as it is.
		default:
			r.growth.rest(c.name)
		}
	}
	return nil
}

// isOver reports whether a stream has more entries than its policy keeps and
// than whole macro nodes leave: something protects them for now.
func (r *run) isOver(c *candidate, left int64) bool {
	if c.policy.MaxLength <= 0 || left <= c.policy.MaxLength {
		return false
	}
	return c.policy.Exact || left-c.policy.MaxLength >= r.nodes.EntriesPerNode(c.entryBytes)
}
