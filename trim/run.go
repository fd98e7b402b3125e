package trim

import (
	"context"
	"fmt"
	"time"

	"github.com/streamkeeper/streamkeeper/buffer"
)

// run is one pass over all streams and the draining of what it finds.
type run struct {
	*Trimmer
	now    time.Time
	byAge  bool // the clock can be trusted
	start  time.Time
	report Report
	// waiting are the streams that have more to lose than one bite, those
	// that the last run left first.
	waiting []backlog
	// probes is how many calls that may or may not remove go into one batch.
	probes int
	errors map[buffer.Class]int64
	told   time.Time
}

const (
	firstProbes = 16
	maxProbes   = 128
	maxWaiting  = 10_000
)

func newRun(t *Trimmer, now time.Time, byAge bool) *run {
	r := &run{Trimmer: t, now: now, byAge: byAge, start: time.Now(), probes: firstProbes, errors: make(map[buffer.Class]int64)}
	r.waiting = t.left
	return r
}

// candidate is a stream of a page, with what is known of it.
type candidate struct {
	name       string
	policy     Policy
	length     int64
	entryBytes int64 // 0 if not known
	timeIDs    bool
	skip       bool
	counted    bool // among the streams that lost an entry
}

// page looks at one page of streams and takes the first bite of those that
// have something to lose.
func (r *run) page(ctx context.Context, names []string) error {
	page := make([]candidate, 0, len(names))
	for _, name := range names {
		r.report.Streams++
		if p := r.o.Policies.For(name); !p.KeepsAll() {
			page = append(page, candidate{name: name, policy: p, timeIDs: true})
		}
	}
	if err := r.learnLengths(ctx, page); err != nil {
		return err
	}
	if err := r.learnSights(ctx, page); err != nil {
		return err
	}
	if err := r.biteLengths(ctx, page); err != nil {
		return err
	}
	if err := r.biteAges(ctx, page); err != nil {
		return err
	}
	r.progress(false)
	if len(r.waiting) > maxWaiting {
		return r.drain(ctx)
	}
	return nil
}

// learnLengths asks for the lengths where a policy limits them.
func (r *run) learnLengths(ctx context.Context, page []candidate) error {
	wanted := pick(page, func(c *candidate) bool { return c.policy.MaxLength > 0 })
	started := time.Now()
	lengths, err := r.store.Lengths(ctx, names(wanted))
	if err != nil {
		return err
	}
	if len(wanted) == 1 {
		r.pace.trips(time.Since(started))
	}
	for i, c := range wanted {
		if err := lengths[i].Err; err != nil {
			r.failed(c.name, err)
			c.skip = true
			continue
		}
		c.length = lengths[i].Entries
	}
	return nil
}

// learnSights looks at streams that were not seen before, where a policy
// knows ages. A stream whose ids are not times is asked each time.
func (r *run) learnSights(ctx context.Context, page []candidate) error {
	var wanted []*candidate
	for i := range page {
		c := &page[i]
		if c.skip || c.policy.MaxAge <= 0 && (c.policy.MinAge <= 0 || c.length <= c.policy.MaxLength) {
			continue
		}
		if n, ok := r.sights.get(c.name); ok {
			c.entryBytes = n
			continue
		}
		wanted = append(wanted, c)
	}
	if len(wanted) == 0 {
		return nil
	}
	sights, err := r.store.FirstSights(ctx, names(wanted), r.now)
	if err != nil {
		return err
	}
	for i, c := range wanted {
		switch s := sights[i]; {
		case s.Err != nil:
			r.failed(c.name, s.Err)
			c.skip = true
		case !s.TimeIDs:
			c.timeIDs, err = r.lastIDIsTime(ctx, c.name)
			if err != nil {
				return err
			}
		case s.Bytes > 0:
			// Without a policy of length its length was not asked.
			c.entryBytes = s.Bytes / max(1, c.length)
			r.sights.put(c.name, c.entryBytes)
		}
	}
	return nil
}

// lastIDIsTime looks closer at a stream that has an entry whose id is no time.
func (r *run) lastIDIsTime(ctx context.Context, name string) (bool, error) {
	infos, err := r.store.Infos(ctx, []string{name})
	if err != nil {
		return false, err
	}
	if infos[0].LastID.IsTime(r.now) {
		return true, nil
	}
	r.o.OnMalformed("stream_id")
	r.o.Log.Debug("stream ids are not times: trimmed by length only", "stream", buffer.Escape(name), "last_id", infos[0].LastID.String())
	return false, nil
}

// biteLengths takes what is beyond the length of the streams of a page: small
// surpluses in batches that together free no more than one slice, large ones
// later, one at a time.
func (r *run) biteLengths(ctx context.Context, page []candidate) error {
	due := pick(page, func(c *candidate) bool {
		return !c.skip && c.policy.MaxLength > 0 && c.length > c.policy.MaxLength && r.mayTrim(c)
	})
	if err := r.learnSizes(ctx, due); err != nil {
		return err
	}
	b := batch{run: r, reason: ByLength}
	for _, c := range due {
		surplus := c.length - c.policy.MaxLength
		node := r.nodes.EntriesPerNode(c.entryBytes)
		limit := r.pace.entries(max(1, c.entryBytes), node)
		if surplus > limit {
			r.wait(c, ByLength, surplus)
			continue
		}
		call := r.call(c, ByLength)
		call.Limit = limit
		call.Exact = c.policy.Exact
		if err := b.add(ctx, c, call, surplus*c.entryBytes); err != nil {
			return err
		}
	}
	return b.send(ctx)
}

// mayTrim is false for a stream whose young entries are protected by a clock
// that cannot be trusted.
func (r *run) mayTrim(c *candidate) bool { return r.byAge || c.policy.MinAge <= 0 }

// learnSizes asks how large the entries are of which that is not known.
func (r *run) learnSizes(ctx context.Context, due []*candidate) error {
	var wanted []*candidate
	for _, c := range due {
		if c.entryBytes == 0 {
			wanted = append(wanted, c)
		}
	}
	sizes, err := r.store.Sizes(ctx, names(wanted))
	if err != nil {
		return err
	}
	for i, c := range wanted {
		c.entryBytes = sizes[i] / max(1, c.length)
	}
	return nil
}

// biteAges sends each stream one call that takes at most two macro nodes of
// entries that are too old; Redis itself says whether there are any.
func (r *run) biteAges(ctx context.Context, page []candidate) error {
	due := pick(page, func(c *candidate) bool { return !c.skip && c.policy.MaxAge > 0 && c.timeIDs && r.byAge })
	for len(due) > 0 {
		n := min(r.probes, len(due))
		b := batch{run: r, reason: ByAge, probe: true}
		for _, c := range due[:n] {
			call := r.call(c, ByAge)
			call.Limit = 2 * r.nodes.EntriesPerNode(c.entryBytes)
			call.Exact = c.policy.Exact
			if err := b.add(ctx, c, call, 0); err != nil {
				return err
			}
		}
		if err := b.send(ctx); err != nil {
			return err
		}
		due = due[n:]
	}
	return nil
}

// call is the command for a stream, without a limit.
func (r *run) call(c *candidate, reason Reason) buffer.Trim {
	t := buffer.Trim{Stream: c.name}
	if reason == ByAge {
		t.Before = c.policy.ageLimit(r.now)
	} else {
		t.MaxLen = c.policy.MaxLength
		if c.timeIDs {
			t.Floor = c.policy.floor(r.now)
		}
	}
	if r.o.RespectGroups {
		t.Groups = r.guard(c.name)
	}
	return t
}

// failed counts a stream that could not be trimmed: one of another type is
// malformed and passed over, anything else is an error.
func (r *run) failed(stream string, err error) {
	class := buffer.ClassOf(err)
	if class == buffer.ClassWrongType {
		r.o.OnMalformed("stream_type")
		r.o.Log.Debug("not a stream: passed over", "stream", buffer.Escape(stream))
		return
	}
	r.report.Errors++
	r.errors[class]++
	r.o.Log.Debug("stream not trimmed", "stream", buffer.Escape(stream), "error", err)
}

// logErrors says each class of error once, with its count.
func (r *run) logErrors() {
	for class, n := range r.errors {
		r.o.Log.Warn("streams were not trimmed", "class", string(class), "streams", n)
	}
}

// removed notes what a call took from a stream.
func (r *run) removed(stream string, reason Reason, entries int64, counted *bool) {
	if entries <= 0 {
		return
	}
	if !*counted {
		*counted = true
		r.report.StreamsTrimmed++
	}
	r.report.EntriesRemoved += entries
	r.o.OnRemoved(stream, reason, entries)
}

// progress tells how far the run is, at most five times a second.
func (r *run) progress(always bool) {
	if now := time.Now(); always || now.Sub(r.told) > 200*time.Millisecond {
		r.told = now
		r.o.OnProgress(Progress{Streams: r.report.Streams, Entries: r.report.EntriesRemoved, Waiting: len(r.waiting)})
	}
}

func pick(page []candidate, wanted func(*candidate) bool) []*candidate {
	var picked []*candidate
	for i := range page {
		if wanted(&page[i]) {
			picked = append(picked, &page[i])
		}
	}
	return picked
}

func names(candidates []*candidate) []string {
	all := make([]string, len(candidates))
	for i, c := range candidates {
		all[i] = c.name
	}
	return all
}

// guard says which of the stream's groups count: one without consumers counts
// until it was seen so for long enough, as Redis does not know since when.
func (r *run) guard(stream string) *buffer.GroupGuard {
	g := &buffer.GroupGuard{IdleAfter: r.o.GroupIdleAfter}
	for name, since := range r.lonely[stream] {
		if r.now.Sub(since) > r.o.GroupIdleAfter {
			g.Ignore = append(g.Ignore, name)
		}
	}
	return g
}

// seeGroups notes which groups of the stream have no consumers now.
func (r *run) seeGroups(stream string, out buffer.Trimmed) {
	if !r.o.RespectGroups {
		return
	}
	before := r.lonely[stream]
	delete(r.lonely, stream)
	for _, name := range out.Lonely {
		since, ok := before[name]
		if !ok {
			since = r.now
		}
		if r.lonely[stream] == nil {
			r.lonely[stream] = make(map[string]time.Time)
		}
		r.lonely[stream][name] = since
	}
	if out.HeldBy != "" {
		r.o.Log.Debug("a consumer group holds trimming back", "stream", buffer.Escape(stream), "group", fmt.Sprintf("%q", out.HeldBy))
	}
}
