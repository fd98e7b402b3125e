package sweep

import (
	"context"

	"github.com/streamkeeper/streamkeeper/trim"
	"github.com/streamkeeper/streamkeeper/trim/pressure"
)

// relieve makes streams keep less while Redis is near its maxmemory.
func (r *run) relieve(ctx context.Context) (pressure.Result, error) {
	held := make(map[string]*stream)
	result, err := r.s.reducer.Relieve(ctx, pressure.Run{
		Store: r.s.store, Policies: r.s.o.Policies, Nodes: r.s.nodes, Share: r.s.o.Pressure, Now: r.now,
		Late: func() bool { return isLate(r.until) },
		Trim: func(ctx context.Context, targets []pressure.Target) (map[string]int64, error) {
			return r.reduce(ctx, targets, held)
		},
		Before: r.s.before, Log: r.s.o.Log,
	})
	if err != nil || !result.Short {
		return result, err
	}
	return result, r.finishHeld(ctx, held)
}

// reduce trims streams to the lengths that memory pressure leaves them, says how
// many entries each lost, and notes which a consumer group protects.
func (r *run) reduce(ctx context.Context, targets []pressure.Target, held map[string]*stream) (map[string]int64, error) {
	for _, t := range targets {
		c := stream{name: t.Stream, policy: r.s.o.Policies.Reduced(t.Stream, t.Keep), entryBytes: t.EntryBytes}
		c.stats.Stream = t.Stream
		c.recordLength(t.Length)
		s := trim.Step{By: trim.ByPressure, MaxLen: c.policy.MaxLength, MinAgeFloor: c.policy.MinAgeFloor(r.now), Over: t.Length - c.policy.MaxLength, Why: trim.Why{Text: t.Why}}
		c.cut = trim.Cut{Stream: t.Stream, Steps: []trim.Step{s}}
		r.enqueue(&c, s, false)
	}
	done, err := r.drain(ctx)
	left := r.queue.take(nil)
	for i := range left {
		done = append(done, &left[i].stream)
	}
	lost := make(map[string]int64, len(done))
	for _, c := range done {
		lost[c.name] = c.removed
		if c.held {
			held[c.name] = c
		}
		r.tally.inNodes.add(c)
		r.handOver(c, c.cutWith(nil))
	}
	return lost, err
}

// finishHeld says what would go under memory pressure if no consumer group
// needed it.
func (r *run) finishHeld(ctx context.Context, held map[string]*stream) error {
	for name, c := range held {
		if r.examined.streams++; r.examined.streams > maxExamined {
			break
		}
		infos, err := r.s.store.Infos(ctx, []string{name})
		if err != nil {
			return err
		}
		if err := infos[0].Err; err != nil {
			r.tally.failed(name, err)
			continue
		}
		known, err := r.examine(ctx, c, infos[0])
		if err != nil {
			return err
		}
		if needed := c.stats.NeededEntries - c.stats.YoungEntries; known && needed > 0 {
			c.removed, c.freed = 0, 0 // they are counted
			r.handOver(c, c.cutWith([]trim.Protection{
				{By: trim.ProtectedByGroup, Group: c.floorGroup, Entries: needed, Stay: c.stats.NeededEntries},
			}))
		}
	}
	return nil
}
