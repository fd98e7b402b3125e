package trim

import (
	"context"
	"errors"
	"slices"

	"github.com/streamkeeper/streamkeeper/buffer"
)

// visit looks at the streams that may have something to lose: at those that
// grow, while it is certain that no other stream did, else at all.
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
	why := g.mustVisitAll(r.now)
	if !r.byAge {
		why = notKnown
	}
	if why != "" {
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
	g := r.growth
	var listed int64
	if r.learns() {
		g.walkAll()
		census, err := r.store.Census(ctx, nil)
		if err != nil {
			r.uncounted(err)
		}
		listed = census.Names
	}
	if err := r.pass(ctx); err != nil {
		return err
	}
	r.forgetGroups()
	if !r.learns() {
		return nil
	}
	if !r.byAge || r.report.Errors > 0 || !g.prune(r.now, why, r.report.Streams) {
		g.close()
		return nil
	}
	due := g.due()
	census, err := r.store.Census(ctx, due)
	if err != nil {
		r.uncounted(err)
		return nil
	}
	g.open(r.now, due, census, r.report.Streams, listed)
	return nil
}

// learns reports whether the run is to learn which streams grow.
func (r *run) learns() bool { return !r.planning && r.growth.follows() }

// uncounted goes on without books. Where the server says for good that it has
// none, they are not tried again.
func (r *run) uncounted(err error) {
	r.growth.close()
	if errors.Is(err, buffer.ErrUncounted) || buffer.ClassOf(err) == buffer.ClassAuth {
		r.growth.stop()
		r.o.Log.Info("each run visits every stream", "why", err)
		return
	}
	r.o.Log.Debug("cannot tell which streams grow", "error", err)
}

// measure notes how long the streams of a page are before anything goes.
func (r *run) measure(_ context.Context, page []candidate) error {
	if !r.learns() {
		return nil
	}
	for i := range page {
		if c := &page[i]; !c.skip {
			r.growth.measured(c.name, c.length, r.now)
		}
	}
	return nil
}

// sortOut finds the streams that need not be visited until all are: they do not
// grow, and have nothing to lose until then.
func (r *run) sortOut(ctx context.Context, page []candidate) error {
	if !r.learns() || !r.walking {
		return nil
	}
	var ageing []*candidate
	for i := range page {
		switch c := &page[i]; {
		case c.skip, r.growth.grows(c.name, r.now):
		case r.queued[queueKey{c.name, ByLength}], r.queued[queueKey{c.name, ByAge}], r.isOver(c):
			r.growth.keep(c.name)
		case c.policy.MaxAge > 0 && c.timeIDs && c.length > c.gone:
			ageing = append(ageing, c)
		default:
			r.growth.rest(c.name)
		}
	}
	return r.lookAhead(ctx, ageing)
}

// isOver reports whether a stream has more entries than its policy keeps and
// than whole macro nodes leave: something protects them for now.
func (r *run) isOver(c *candidate) bool {
	left := c.length - c.gone
	if c.policy.MaxLength <= 0 || left <= c.policy.MaxLength {
		return false
	}
	return c.policy.Exact || left-c.policy.MaxLength >= r.nodes.EntriesPerNode(c.entryBytes)
}

// lookAhead keeps the streams of which an entry becomes too old before all
// streams are visited again.
func (r *run) lookAhead(ctx context.Context, ageing []*candidate) error {
	return r.inLooks(ctx, ageing,
		func(c *candidate) buffer.Look {
			return buffer.Look{Stream: c.name, Before: c.policy.ageLimit(r.now.Add(r.growth.every))}
		},
		func(c *candidate, h buffer.Head) error {
			if h.Old || h.Err != nil {
				r.growth.keep(c.name)
			} else {
				r.growth.rest(c.name)
			}
			return nil
		})
}
