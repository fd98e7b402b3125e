package sweep

import (
	"context"
	"time"

	"github.com/streamkeeper/streamkeeper/buffer"
	"github.com/streamkeeper/streamkeeper/trim"
)

// stream is a stream of a page, with what is known of it and what came of it.
type stream struct {
	name   string
	policy trim.Policy
	// ageLimit is the id below which entries are too old.
	ageLimit buffer.ID
	stats    trim.StreamStats
	// entryBytes is roughly what an entry takes, 0 if not known.
	entryBytes int64
	cut        trim.Cut
	// failed: it cannot be asked or trimmed; paused: it loses nothing now.
	failed, paused bool
	// removed is how many entries went in this run, and since how many of them
	// since the stats were read.
	removed, since int64
	// freed is about how many bytes the entries took that went in this run.
	freed int64
	// floor is the id from which on nothing went, and floorGroup the consumer
	// group that needs it, if it is one.
	floor      buffer.ID
	floorGroup string
	// held: because of that group the last call removed less than it would.
	held bool
}

// length is how many entries are left.
func (c *stream) length() int64 { return max(0, c.stats.Info.Length-c.since) }

// recordLength takes a length in.
func (c *stream) recordLength(length int64) {
	c.stats.Info.Type, c.stats.Info.Length = "stream", length
	c.since = 0
}

// fetchLengths asks for the lengths of the streams whose oldest entries are not
// looked at, which tells the length anyway.
func (r *run) fetchLengths(ctx context.Context, page []stream) error {
	wanted := pick(page, func(c *stream) bool { return c.ageLimit.IsZero() })
	if len(wanted) == 0 {
		return nil
	}
	lengths, err := r.s.store.Lengths(ctx, namesOf(wanted))
	if err != nil {
		return err
	}
	for i, c := range wanted {
		if err := lengths[i].Err; err != nil {
			c.failed = true
			if !c.policy.KeepsAll() {
				r.tally.failed(c.name, err)
			}
			continue
		}
		c.recordLength(lengths[i].Entries)
	}
	return nil
}

// fetchAges finds the streams that have an entry that is too old, and those
// whose ids are no times: age never removes anything from them, and protects
// nothing in them.
func (r *run) fetchAges(ctx context.Context, page []stream) error {
	if err := r.probeOldest(ctx, pick(page, func(c *stream) bool { return !c.failed && !c.ageLimit.IsZero() }), 1); err != nil {
		return err
	}
	return r.fetchLastIDs(ctx, pick(page, func(c *stream) bool {
		if c.failed || c.stats.OldEntries == 0 && c.policy.MinAge <= 0 {
			return false
		}
		_, over := trim.Decide(c.policy, c.stats, r.now)
		return over || c.stats.OldEntries > 0
	}))
}

// probeOldest counts entries that are too old, up to so many, and asks for the
// size of the oldest. Only where it is old does Redis touch a payload for that;
// how many streams go into one pipeline depends on how long that takes.
func (r *run) probeOldest(ctx context.Context, streams []*stream, count int64) error {
	for len(streams) > 0 {
		part := streams[:min(r.looks, len(streams))]
		streams = streams[len(part):]
		looks := make([]buffer.OldestRequest, len(part))
		for i, c := range part {
			looks[i] = buffer.OldestRequest{Stream: c.name, Before: c.ageLimit, Count: count}
		}
		started := time.Now()
		heads, err := r.s.store.Oldest(ctx, looks)
		if err != nil {
			return err
		}
		r.looks = r.s.pace.calls(r.looks, firstLooks, maxLooks, time.Since(started))
		for i, c := range part {
			if err := heads[i].Err; err != nil {
				r.tally.failed(c.name, err)
				c.failed = true
				continue
			}
			c.probed(heads[i])
		}
	}
	return nil
}

// probed takes in what was found at the old end.
func (c *stream) probed(h buffer.OldestResult) {
	c.recordLength(h.Length)
	c.stats.OldEntries = h.Old
	if h.Old > 0 {
		c.entryBytes = max(1, h.EntryBytes)
		c.stats.Info.First = h.First
	}
}

// fetchLastIDs finds out whether the ids of streams are times, by the last one.
func (r *run) fetchLastIDs(ctx context.Context, streams []*stream) error {
	if len(streams) == 0 {
		return nil
	}
	last, err := r.s.store.LastIDs(ctx, namesOf(streams))
	if err != nil {
		return err
	}
	var ahead []*stream
	for i, c := range streams {
		if err := last[i].Err; err != nil {
			r.tally.failed(c.name, err)
			c.failed = true
			continue
		}
		c.stats.Info.LastID = last[i].ID
		if !last[i].ID.IsTime(r.now) {
			r.s.o.OnMalformed("stream_id")
			r.s.o.Log.Debug("stream ids are not times", "stream", buffer.Escape(c.name), "last_id", last[i].ID.String())
			if c.policy.MinAge > 0 && !last[i].ID.Less(c.policy.Floor(r.now)) {
				ahead = append(ahead, c)
			}
		}
	}
	return r.fetchYoung(ctx, ahead)
}

// fetchYoung finds the streams that hold an entry whose own id is a time that
// their policies' MinAge protects, though their last ids are no times.
func (r *run) fetchYoung(ctx context.Context, ahead []*stream) error {
	if len(ahead) == 0 {
		return nil
	}
	ranges := make([]buffer.Range, len(ahead))
	for i, c := range ahead {
		ranges[i] = buffer.Range{Stream: c.name, From: c.policy.Floor(r.now), To: buffer.TimeID(r.now.Add(buffer.MaxTimeAhead)).Next()}
	}
	young, err := r.s.store.HaveEntries(ctx, ranges)
	for i, c := range ahead {
		c.stats.HoldsYoung = err == nil && young[i]
	}
	return err
}

// fetchBytes asks what streams take in memory, where that is not known.
func (r *run) fetchBytes(ctx context.Context, streams []*stream) error {
	var wanted []*stream
	for _, c := range streams {
		if c.entryBytes == 0 {
			wanted = append(wanted, c)
		}
	}
	if len(wanted) == 0 {
		return nil
	}
	sizes, err := r.s.store.Sizes(ctx, namesOf(wanted))
	if err != nil {
		return err
	}
	for i, c := range wanted {
		c.entryBytes = max(1, sizes[i]/max(1, c.length()))
	}
	return nil
}

func pick(page []stream, wanted func(*stream) bool) []*stream {
	var picked []*stream
	for i := range page {
		if wanted(&page[i]) {
			picked = append(picked, &page[i])
		}
	}
	return picked
}

func namesOf(streams []*stream) []string {
	all := make([]string, len(streams))
	for i, c := range streams {
		all[i] = c.name
	}
	return all
}
