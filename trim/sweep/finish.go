package sweep

import (
	"context"
	"time"

	"github.com/streamkeeper/streamkeeper/buffer"
	"github.com/streamkeeper/streamkeeper/internal/redisconn"
	"github.com/streamkeeper/streamkeeper/trim"
)

// maxExamined is how many streams a run examines one by one for what consumer
// groups protect. Of those beyond it knows no more than what a length tells.
const maxExamined = 1000

// finish finds out what protects the entries over a limit that stay in streams,
// and hands the streams over, unless their entries take too much memory.
func (r *run) finish(ctx context.Context, done []*stream) error {
	done, err := r.takeOversized(ctx, done)
	if err != nil {
		return err
	}
	var young, grouped []*stream
	for _, c := range done {
		r.tally.inNodes.add(c)
		left := c.left()
		group := c.held || left > 0 && c.floorGroup != ""
		age := left > 0 && c.floorGroup == "" && !c.floor.IsZero()
		switch {
		case c.failed, len(c.cut.Steps) == 0, r.queue.isDropped(c.name): // what is dropped is not protected
			r.handOver(c, trim.Cut{})
		case (c.paused || group) && r.examined.streams < maxExamined:
			r.examined.streams++
			grouped = append(grouped, c)
		case age && !c.paused:
			young = append(young, c)
		default:
			cut := c.cutWith(c.protected(c.statsNow(), r.now))
			cut.Estimated = cut.Estimated || c.floorGroup != "" // what the group needs was not counted
			r.handOver(c, cut)
		}
	}
	if err := r.finishYoung(ctx, young); err != nil {
		return err
	}
	return r.finishGrouped(ctx, grouped)
}

// left is how many entries over a limit stay, as far as the run knows.
func (c *stream) left() (entries int64) {
	entries = c.stats.EntriesOverBytes
	for _, s := range c.cut.Steps {
		switch {
		case s.By == trim.ByBytes:
		case s.AtLeast():
			entries = max(entries, c.stats.OldEntries-c.since)
		default:
			entries = max(entries, s.Over-c.removed)
		}
	}
	return entries
}

// statsNow are the stats after what was removed.
func (c *stream) statsNow() trim.StreamStats {
	s := c.stats
	s.Info.Length = c.length()
	s.OldEntries = max(0, s.OldEntries-c.since)
	if c.floorGroup != "" {
		s.NeededBy, s.NeededEntries = c.floorGroup, s.Info.Length
	}
	return s
}

// cutWith is the stream's cut as it came out.
func (c *stream) cutWith(protected []trim.Protection) trim.Cut {
	cut := c.cut
	cut.Entries, cut.Bytes, cut.Protected, cut.InNode = c.removed, c.freed, protected, c.inNode
	return cut
}

// finishYoung counts the entries that no age protects.
func (r *run) finishYoung(ctx context.Context, streams []*stream) error {
	if len(streams) == 0 {
		return nil
	}
	looks := make([]buffer.OldestRequest, len(streams))
	for i, c := range streams {
		looks[i] = buffer.OldestRequest{Stream: c.name, Before: c.floor, Count: 2*nodeEntries(r.s.nodes, c.entrySize()) + 1}
	}
	found, err := r.s.store.Oldest(ctx, looks)
	if err != nil {
		return err
	}
	for i, c := range streams {
		if err := found[i].Err; err != nil {
			r.tally.failed(c.name, err)
			r.handOver(c, c.cutWith(nil))
			continue
		}
		c.recordLength(found[i].Length)
		c.stats.YoungEntries = found[i].Length - found[i].Old
		r.handOver(c, c.cutWith(trim.Left(c.policy, c.statsNow(), r.now)))
	}
	return nil
}

// finishGrouped reads anew what is to be known of streams that a consumer group or
// a pause protects.
func (r *run) finishGrouped(ctx context.Context, streams []*stream) error {
	if len(streams) == 0 {
		return nil
	}
	infos, err := r.s.store.Infos(ctx, namesOf(streams))
	if err != nil {
		return err
	}
	for i, c := range streams {
		if err := infos[i].Err; err != nil {
			r.tally.failed(c.name, err)
			r.handOver(c, c.cutWith(nil))
			continue
		}
		known, err := r.examine(ctx, c, infos[i])
		switch {
		case err != nil:
			return err
		case known:
			r.handOver(c, c.cutWith(c.protected(c.stats, r.now)))
		default:
			r.handOver(c, c.cutWith(nil))
		}
	}
	return nil
}

// protected is what protects the entries over a limit that stay.
func (c *stream) protected(s trim.StreamStats, now time.Time) []trim.Protection {
	if c.paused {
		cut, _ := trim.Paused(c.policy, s, now)
		return cut.Protected
	}
	return trim.Left(c.policy, s, now)
}

// examine counts the entries of a stream that are too old, too young, and needed
// by a consumer group; known is false where the stream could not be read.
func (r *run) examine(ctx context.Context, c *stream, info buffer.StreamInfo) (known bool, err error) {
	c.since = 0
	c.stats.Info, c.stats.NeededBy = info, c.floorGroup
	for _, count := range []struct {
		below buffer.ID
		into  *int64
		above bool
	}{
		{c.policy.AgeLimit(r.now), &c.stats.OldEntries, false},
		{c.policy.MinAgeFloor(r.now), &c.stats.YoungEntries, true},
		{c.floor, &c.stats.NeededEntries, true},
	} {
		*count.into = 0
		if count.below.IsZero() {
			continue
		}
		n, _, err := countBelow(ctx, r.s.store, c.name, info, count.below, r.examined.entries)
		if redisconn.IsLost(err) {
			return false, err
		}
		if err != nil {
			r.tally.failed(c.name, err)
			return false, nil
		}
		if *count.into = n; count.above {
			*count.into = info.Length - n
		}
	}
	return true, nil
}

// countBelow counts the entries of a stream below an id, exactly where they, or
// those that follow, are few, else by the even growth of the stream.
func countBelow(ctx context.Context, store Store, stream string, info buffer.StreamInfo, id buffer.ID, most buffer.CountLimit) (entries int64, estimated bool, err error) {
	switch {
	case info.Length == 0, !info.First.Less(id):
		return 0, false, nil
	case info.Newest.Less(id):
		return info.Length, false, nil
	}
	below, all, err := store.CountRange(ctx, buffer.Range{Stream: stream, To: id}, most)
	if err != nil || all {
		return below, false, err
	}
	above, all, err := store.CountRange(ctx, buffer.Range{Stream: stream, From: id}, most)
	if err != nil || all {
		return max(0, info.Length-above), false, err
	}
	return min(info.Length-above, max(below, info.Length-trim.EstimateAbove(info, id))), true, nil
}

// How many entries of a stream are counted one by one: few in a run, many in a
// plan, of not too many streams.
var (
	countFew  = buffer.CountLimit{Entries: 2*fewEntries + 1, Bytes: 1 << 20}
	countMany = buffer.CountLimit{Entries: 10_000, Bytes: 16 << 20}
)
