package sweep

import (
	"context"

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
	// entryBytes is roughly what an entry takes, 0 if not known; see entrySize.
	entryBytes int64
	cut        trim.Cut
	// failed: it cannot be asked or trimmed; paused: it loses nothing now; twice: it
	// came before, and has had its turn.
	failed, paused, twice bool
	// removed is how many entries went in this run, and since how many of them
	// since the stats were read.
	removed, since int64
	// freed is about how many bytes the entries took that went in this run.
	freed int64
	// inNode is how many of the entries went inside a macro node that stays.
	inNode int64
	// floor is the id from which on nothing went, and floorGroup the consumer
	// group that needs it, if it is one.
	floor      buffer.ID
	floorGroup string
	// held: because of that group the last call removed less than it would.
	held bool
}

// length is how many entries are left.
func (c *stream) length() int64 { return max(0, c.stats.Info.Length-c.since) }

// assumedSize is what an entry is taken for, in bytes, where Redis does not tell.
const assumedSize = 4 << 10

// entrySize is what an entry counts as where a call is to free no more than a slice.
func (c *stream) entrySize() int64 {
	if c.entryBytes == 0 {
		return assumedSize
	}
	return c.entryBytes
}

// recordLength takes a length in.
func (c *stream) recordLength(length int64) {
	c.stats.Info.Type, c.stats.Info.Length = "stream", length
	c.since = 0
}

// checkAges finds the streams whose ids are no times, among those from which age
// removes something or in which it protects something: it never does either there.
// To spare calls it asks beforehand which streams are over a limit; what goes from
// them is decided once it is known.
func (r *run) checkAges(ctx context.Context, page []stream) error {
	return r.fetchLastIDs(ctx, pick(page, func(c *stream) bool {
		if c.failed || c.stats.OldEntries == 0 && c.policy.MinAge <= 0 {
			return false
		}
		_, over := trim.Decide(c.policy, c.stats, r.now)
		return over || c.stats.OldEntries > 0
	}))
}

// recordOldest takes in what was found at the old end.
func (c *stream) recordOldest(h buffer.OldestResult) {
	c.recordLength(h.Length)
	c.stats.OldEntries = h.Old
	if h.Old > 0 {
		c.entryBytes = h.EntryBytes
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
			if c.policy.MinAge > 0 && !last[i].ID.Less(c.policy.MinAgeFloor(r.now)) {
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
		ranges[i] = buffer.Range{Stream: c.name, From: c.policy.MinAgeFloor(r.now), To: buffer.TimeID(r.now.Add(buffer.MaxTimeAhead)).Next()}
	}
	young, err := r.s.store.HaveEntries(ctx, ranges)
	for i, c := range ahead {
		c.stats.HoldsYoung = err == nil && young[i]
	}
	return err
}

func pick(page []stream, wanted func(*stream) bool) []*stream {
	picked := make([]*stream, 0, len(page))
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
