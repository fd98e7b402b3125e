package trim

import (
	"context"
	"time"

	"github.com/streamkeeper/streamkeeper/buffer"
)

// learnLengths asks for the lengths where a policy limits them; a close look
// tells them anyway.
func (r *run) learnLengths(ctx context.Context, page []candidate) error {
	wanted := pick(page, func(c *candidate) bool { return c.policy.MaxLength > 0 && !c.closely })
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

// learnAges finds the streams that may have an entry that is too old, and
// those whose ids are no times: age never removes anything from them.
func (r *run) learnAges(ctx context.Context, page []candidate) error {
	if !r.byAge {
		return nil
	}
	known := pick(page, func(c *candidate) bool {
		return !c.skip && !c.closely && c.policy.MaxAge > 0 && !c.isEmpty()
	})
	if err := r.findCounters(ctx, known); err != nil {
		return err
	}
	return r.lookClosely(ctx, pick(page, func(c *candidate) bool {
		// Its age may also be what keeps an entry.
		return c.closely || !c.skip && c.policy.MinAge > 0 && c.length > c.policy.MaxLength
	}))
}

// findCounters makes sure that streams which were looked at before have not
// been made anew with other ids.
func (r *run) findCounters(ctx context.Context, known []*candidate) error {
	if len(known) == 0 {
		return nil
	}
	var have []bool
	if err := r.yield(func() (err error) {
		have, err = r.store.HaveCounters(ctx, names(known))
		return err
	}); err != nil {
		return err
	}
	for i, c := range known {
		if have[i] {
			if err := r.lastIDIsTime(ctx, c); err != nil {
				return err
			}
		}
	}
	return nil
}

// lookClosely asks for the oldest entry's id and size. Only where it is old
// does Redis touch a payload for that; how many streams go into one pipeline
// depends on how long that takes.
func (r *run) lookClosely(ctx context.Context, unknown []*candidate) error {
	for len(unknown) > 0 {
		part := unknown[:min(r.looks, len(unknown))]
		unknown = unknown[len(part):]
		looks := make([]buffer.Look, len(part))
		for i, c := range part {
			looks[i] = buffer.Look{Stream: c.name, Before: c.policy.oldest(r.now), Ahead: c.policy.MinAge > 0}
		}
		var heads []buffer.Head
		var took time.Duration
		if err := r.yield(func() (err error) {
			started := time.Now()
			heads, err = r.store.Heads(ctx, looks, r.now)
			took = time.Since(started)
			return err
		}); err != nil {
			return err
		}
		r.looks = r.pace.calls(r.looks, firstLooks, maxLooks, took)
		for i, c := range part {
			if err := r.learnHead(ctx, c, heads[i]); err != nil {
				return err
			}
		}
	}
	return nil
}

func (r *run) learnHead(ctx context.Context, c *candidate, h buffer.Head) error {
	c.old, c.length, c.measured = h.Old, h.Length, h.Err == nil
	switch {
	case h.Err != nil:
		r.failed(c.name, h.Err)
		c.skip = true
	case h.Ahead, h.Old && !h.First.IsTime(r.now):
		return r.lastIDIsTime(ctx, c)
	case h.Old:
		c.entryBytes = max(1, h.EntryBytes)
		r.sights.put(c.name, c.entryBytes)
	}
	return nil
}

// lastIDIsTime looks closer at a stream that has an entry whose id is no time.
func (r *run) lastIDIsTime(ctx context.Context, c *candidate) error {
	var infos []buffer.StreamInfo
	if err := r.yield(func() (err error) {
		infos, err = r.store.Infos(ctx, []string{c.name})
		return err
	}); err != nil {
		return err
	}
	if c.timeIDs = infos[0].LastID.IsTime(r.now); !c.timeIDs {
		r.o.OnMalformed("stream_id")
		r.o.Log.Debug("stream ids are not times: trimmed by length only", "stream", buffer.Escape(c.name), "last_id", infos[0].LastID.String())
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
