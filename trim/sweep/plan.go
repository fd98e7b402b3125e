package sweep

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/streamkeeper/streamkeeper/internal/redisconn"
	"github.com/streamkeeper/streamkeeper/trim"
)

// Plan is a run over a store that removes nothing. It hands each cut to visit, of
// streams that lose entries or of which something protects entries over a limit,
// and counts what a run would do. The error is that of a run.
func (s *Sweeper) Plan(ctx context.Context, visit func(trim.Cut)) (Report, error) {
	store := newDryStore(s.store)
	o := s.o
	o.Budget = 0
	o.OnRemoved, o.OnCall, o.OnStream = func(Removed) {}, func(time.Duration) {}, func(Learnt) {}
	planner := New(store, o)
	planner.nodes, planner.reducer = s.nodes, s.reducer.ForPlan()
	planner.toldUnused = true // the report has them
	if s.relieves() {
		// Where it cannot be asked, the run will say so.
		planner.before, _ = s.store.Memories(ctx)
	}
	now, clockErr := planner.begin(ctx)
	if clockErr != nil && !errors.Is(clockErr, redisconn.ErrClock) {
		return Report{}, clockErr
	}
	r := newRun(planner, now, clockErr == nil)
	p := plan{store: store, indexes: make(map[string]int)}
	r.handOver, r.examined.entries = p.add, countMany
	report, result, err := r.run(ctx)
	report.Pressure = result.Forecast()
	for _, cut := range p.cuts {
		visit(cut)
	}
	if err == nil {
		err = clockErr
	}
	return report, err
}

// plan is the cuts of a run over a store that removes nothing.
type plan struct {
	store   *dryStore
	cuts    []trim.Cut
	indexes map[string]int
}

// add takes in what comes of a stream; memory pressure adds to what its policy
// does.
func (p *plan) add(c *stream, cut trim.Cut) {
	if len(cut.Steps) == 0 || cut.Entries == 0 && len(cut.Protected) == 0 {
		return
	}
	p.store.describe(&cut)
	pressed := isPressed(cut)
	cut.Estimated = cut.Estimated || pressed || slices.ContainsFunc(cut.Steps, byMemory)
	if pressed && c.removed == 0 {
		cut.Steps = nil
	}
	i, planned := p.indexes[cut.Stream]
	if !planned {
		p.indexes[cut.Stream] = len(p.cuts)
		p.cuts = append(p.cuts, cut)
		return
	}
	if !pressed {
		return // the scan returned the name twice
	}
	have := &p.cuts[i]
	have.Entries, have.Bytes, have.Estimated = have.Entries+cut.Entries, have.Bytes+cut.Bytes, true
	have.InNode += cut.InNode
	if len(cut.Steps) > 0 {
		have.Steps = append(slices.DeleteFunc(have.Steps, byPressure), cut.Steps...)
	}
	if len(cut.Protected) > 0 {
		byGroup := func(p trim.Protection) bool { return p.By == trim.ProtectedByGroup }
		have.Protected = append(slices.DeleteFunc(have.Protected, byGroup), cut.Protected...)
	}
}

// isPressed reports whether memory pressure decided on the cut.
func isPressed(cut trim.Cut) bool { return slices.ContainsFunc(cut.Steps, byPressure) }

func byPressure(s trim.Step) bool { return s.By == trim.ByPressure }
