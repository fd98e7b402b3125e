package sweep

import (
	"context"
	"time"

	"github.com/streamkeeper/streamkeeper/buffer"
)

// learnLengths asks for the lengths where a policy limits them; a look at the
// oldest entry tells them anyway.
func (r *run) learnLengths(ctx context.Context, page []candidate) error {
	wanted := pick(page, func(c *candidate) bool {
		return c.policy.MaxLength > 0 && (!r.byAge || r.planning || !c.policy.LimitsAge(r.now))
	})
	if len(wanted) == 0 {
		return nil
	}
	var lengths []buffer.Length
	if err := r.yield(func() (err error) {
		lengths, err = r.store.Lengths(ctx, names(wanted))
		return err
	}); err != nil {
		return err
	}
	for i, c := range wanted {
		if err := lengths[i].Err; err != nil {
			r.failed(c.name, err)
			c.skip = true
			continue
		}
		c.length, c.measured = lengths[i].Entries, true
	}
	return nil
}

// isEmpty reports whether a stream is known to have no entry.
func (c *candidate) isEmpty() bool { return c.measured && c.length == 0 }

// learnAges finds the streams that have an entry that is too old, and those
// whose ids are no times: age never removes anything from them, and protects
// nothing in them.
func (r *run) learnAges(ctx context.Context, page []candidate) error {
	if !r.byAge {
		return nil
	}
	if err := r.lookAtOldest(ctx, pick(page, func(c *candidate) bool { return !c.skip && !c.isEmpty() && c.policy.LimitsAge(r.now) }), 1); err != nil {
		return err
	}
	return r.learnLastIDs(ctx, pick(page, func(c *candidate) bool {
		return !c.skip && (c.old > 0 || c.policy.MinAge > 0 && c.policy.MaxLength > 0 && c.length > c.policy.MaxLength)
	}))
}

// lookAtOldest counts entries that are too old, up to so many, and asks for the
// size of the oldest. Only where it is old does Redis touch a payload for that;
// how many streams go into one pipeline depends on how long that takes.
func (r *run) lookAtOldest(ctx context.Context, streams []*candidate, count int64) error {
	for len(streams) > 0 {
		part := streams[:min(r.looks, len(streams))]
		streams = streams[len(part):]
		looks := make([]buffer.Look, len(part))
		for i, c := range part {
			looks[i] = buffer.Look{Stream: c.name, Before: c.policy.AgeLimit(r.now), Count: count}
		}
		var heads []buffer.Head
		var took time.Duration
		if err := r.yield(func() (err error) {
			started := time.Now()
			heads, err = r.store.Heads(ctx, looks)
			took = time.Since(started)
			return err
		}); err != nil {
			return err
		}
		r.looks = r.pace.calls(r.looks, firstLooks, maxLooks, took)
		for i, c := range part {
			h := heads[i]
			if h.Err != nil {
				r.failed(c.name, h.Err)
				c.skip = true
				continue
			}
			c.old, c.length, c.measured = h.Old, h.Length, true
			if h.Old > 0 {
				c.entryBytes = max(1, h.EntryBytes)
			}
		}
	}
	return nil
}

// learnLastIDs finds out whether the ids of streams are times, by the last one.
func (r *run) learnLastIDs(ctx context.Context, streams []*candidate) error {
	if len(streams) == 0 {
		return nil
	}
	var last []buffer.LastID
	if err := r.yield(func() (err error) {
		last, err = r.store.LastIDs(ctx, names(streams))
		return err
	}); err != nil {
		return err
	}
	for i, c := range streams {
		if err := last[i].Err; err != nil {
			r.failed(c.name, err)
			c.skip = true
			continue
		}
		if c.timeIDs = last[i].ID.IsTime(r.now); !c.timeIDs {
			r.o.OnMalformed("stream_id")
			r.o.Log.Debug("stream ids are not times: trimmed by length only", "stream", buffer.Escape(c.name), "last_id", last[i].ID.String())
		}
	}
	return nil
}

// learnSizes asks how large the entries are of which that is not known.
func (r *run) learnSizes(ctx context.Context, due []*candidate) error {
	var wanted []*candidate
	for _, c := range due {
		if c.entryBytes == 0 {
			wanted = append(wanted, c)
		}
	}
	if len(wanted) == 0 {
		return nil
	}
	var sizes []int64
	if err := r.yield(func() (err error) {
		sizes, err = r.store.Sizes(ctx, names(wanted))
		return err
	}); err != nil {
		return err
	}
	for i, c := range wanted {
		c.entryBytes = max(1, sizes[i]/max(1, c.length))
	}
	return nil
}
