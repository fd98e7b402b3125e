package sweep

import (
	"context"
	"errors"

	"github.com/streamkeeper/streamkeeper/buffer"
	"github.com/streamkeeper/streamkeeper/trim"
)

// Plan decides for every stream and hands each that is over a limit to visit,
// without removing anything. The report counts what a run would do.
func (t *Sweeper) Plan(ctx context.Context, visit func(trim.Action)) (Report, error) {
	now, clockErr := t.begin(ctx)
	if clockErr != nil && !errors.Is(clockErr, buffer.ErrClock) {
		return Report{}, clockErr
	}
	r := newRun(t, now, clockErr == nil)
	r.planning = true
	if err := r.readGroupNotes(ctx); err != nil {
		return r.report, err
	}
	o, err := r.foresee(ctx)
	if err == nil {
		err = t.store.WalkStreams(ctx, func(names []string) error { return r.planPage(ctx, names, o.sift(visit)) })
	}
	if err == nil {
		r.planPressure(o, visit)
	}
	r.progress(true)
	r.logErrors()
	if err == nil {
		err = clockErr
	}
	return r.report, err
}

func (r *run) planPage(ctx context.Context, all []string, visit func(trim.Action)) error {
	page := r.candidates(all)
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.learnLengths(ctx, page); err != nil {
		return err
	}
	wanted := pick(page, func(c *candidate) bool {
		return !c.skip && r.mayTrim(c) && (c.length > c.policy.MaxLength && c.policy.MaxLength > 0 || c.policy.LimitsAge(r.now) && r.byAge)
	})
	infos, err := r.store.Infos(ctx, names(wanted))
	if err != nil {
		return err
	}
	for i, c := range wanted {
		if infos[i].Err != nil {
			r.failed(c.name, infos[i].Err)
			continue
		}
		if err := r.planStream(ctx, c, infos[i], visit); err != nil {
			return err
		}
	}
	r.progress(false)
	return nil
}

func (r *run) planStream(ctx context.Context, c *candidate, info buffer.StreamInfo, visit func(trim.Action)) error {
	switch info.Type {
	case "stream":
	case "none":
		return nil
	default:
		r.o.OnMalformed("stream_type")
		return nil
	}
	if !info.LastID.IsTime(r.now) && (c.policy.MaxAge > 0 || c.policy.MinAge > 0) {
		r.o.OnMalformed("stream_id")
	}
	f := trim.StreamStats{Stream: c.name, Info: info, NodeEntries: nodeEntries(info)}
	policy := c.policy
	if !r.byAge {
		policy.MaxAge = 0
	}
	if err := r.countOld(ctx, policy, &f); err != nil {
		return err
	}
	if err := r.learnGroups(ctx, &f); err != nil {
		return err
	}
	if action, ok := trim.Decide(policy, f, r.now); ok {
		if action.Entries > 0 {
			r.report.StreamsTrimmed++
			r.report.EntriesRemoved += action.Entries
		}
		visit(action)
	}
	return nil
}

// countOld counts the entries that are too old; exactly where they are few,
// else by the even growth of the stream.
func (r *run) countOld(ctx context.Context, p trim.Policy, f *trim.StreamStats) error {
	limit := p.AgeLimit(r.now)
	if !limit.IsZero() && f.Info.Length > 0 && f.Info.First.Less(limit) {
		f.OldEntries = f.Info.Length - above(f.Info, limit)
		if limit.Less(f.Info.Newest) {
			most := 2*f.NodeEntries + 1
			count, err := r.store.CountBefore(ctx, f.Stream, limit, most)
			if err != nil {
				return err
			}
			if count < most {
				f.OldEntries = count
			} else {
				f.OldEntries, f.Estimated = max(f.OldEntries, count), true
			}
		}
	}
	if p.MinAge > 0 {
		f.YoungEntries = above(f.Info, p.Floor(r.now))
		f.Estimated = f.Estimated || f.YoungEntries > 0 && f.YoungEntries < f.Info.Length
	}
	return nil
}

func (r *run) learnGroups(ctx context.Context, f *trim.StreamStats) error {
	if !r.o.RespectGroups {
		return nil
	}
	floors, err := r.store.GroupFloors(ctx, []string{f.Stream}, *r.guard(f.Stream))
	if err != nil {
		return err
	}
	switch {
	case floors[0].Err != nil:
		r.failed(f.Stream, floors[0].Err)
	case floors[0].Group != "":
		f.HeldBy = floors[0].Group
		f.NeededEntries = above(f.Info, floors[0].Needed)
		f.Estimated = f.Estimated || f.NeededEntries > 0 && f.NeededEntries < f.Info.Length
	}
	return nil
}

// above estimates how many entries have an id not below limit, as if the
// stream grew evenly; it is exact where none or all of them have.
func above(info buffer.StreamInfo, limit buffer.ID) int64 {
	switch {
	case info.Length == 0, info.Newest.Less(limit):
		return 0
	case !info.First.Less(limit):
		return info.Length
	}
	whole := float64(info.Newest.Ms - info.First.Ms)
	if whole == 0 {
		return 1
	}
	part := float64(info.Newest.Ms-limit.Ms) / whole
	return max(1, int64(part*float64(info.Length)))
}

// nodeEntries is how many entries the full macro nodes of a stream hold. All
// but the last are full where only whole ones were removed, so the number lies
// between two bounds that meet in a long stream.
func nodeEntries(info buffer.StreamInfo) int64 {
	if info.Nodes < 1 {
		return 1
	}
	if info.Nodes == 1 {
		return max(1, info.Length)
	}
	least := (info.Length + info.Nodes - 1) / info.Nodes
	most := (info.Length - 1) / (info.Nodes - 1)
	if byDefault := buffer.DefaultNodeLimits.Entries; least <= byDefault && byDefault <= most {
		return byDefault
	}
	return max(1, most)
}
