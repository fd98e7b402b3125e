package sweep

import (
	"context"
	"slices"
	"time"

	"github.com/streamkeeper/streamkeeper/buffer"
	"github.com/streamkeeper/streamkeeper/trim"
)

// This file holds streams to their limits of bytes. Only whole macro nodes free
// memory, and their sizes differ: so a stream is weighed, loses what its oldest
// entries say is too much, and is weighed again, for a few rounds.

// maxRounds is how often a run weighs and cuts a stream.
const maxRounds = 10

// heavy is a stream whose entries take more memory than its policy allows.
type heavy struct {
	*stream
	weight buffer.Weight
	// last: there is no other round for it.
	last bool
}

// scales are what is known of the weights of streams, so that those far from their
// limits are not weighed in each run.
type scales struct {
	known map[string]weighing
	// ran: a run has weighed all streams.
	ran bool
}

type weighing struct {
	bytes, length int64
	at            time.Time // by Redis's clock
}

const (
	// maxKnown is of how many streams a weight is kept in mind.
	maxKnown = 200_000
	// weighedFor is for how long a weight is believed, as long as by the stream's
	// length it is below that part of the limit.
	weighedFor    = 10 * time.Minute
	lightPart     = 0.5
	weighingPart  = 4 // weighing takes no more than a fourth of what else a run does
	weighingStart = 20 * time.Millisecond
)

// isLight reports whether a stream is known to be far from its limit.
func (s *scales) isLight(c *stream, now time.Time) bool {
	w, ok := s.known[c.name]
	if !ok || w.length == 0 || now.Sub(w.at) > weighedFor {
		return false
	}
	return float64(w.bytes)/float64(w.length)*float64(c.length()) < lightPart*float64(c.policy.MaxBytes)
}

func (s *scales) note(name string, w buffer.Weight, now time.Time) {
	if _, ok := s.known[name]; ok || len(s.known) < maxKnown {
		s.known[name] = weighing{w.Bytes, w.Length, now}
	}
}

// forget drops what is no longer believed.
func (s *scales) forget(now time.Time) {
	for name, w := range s.known {
		if now.Sub(w.at) > 2*weighedFor {
			delete(s.known, name)
		}
	}
}

// weigh takes out of the streams that are done those whose entries take too much
// memory: they are not done yet.
func (r *run) weigh(ctx context.Context, done []*stream) (light []*stream, err error) {
	var limited []*stream
	for _, c := range done {
		switch {
		case c.failed, c.policy.BytesLimit() == 0, r.weighed[c.name], c.length() == 0, r.s.scales.isLight(c, r.now), r.isWeighingLate():
			light = append(light, c)
		default:
			limited = append(limited, c)
		}
	}
	if len(limited) == 0 {
		return done, nil
	}
	started := time.Now()
	defer func() { r.weighing += time.Since(started) }()
	weights, err := r.s.store.Weights(ctx, namesOf(limited))
	if err != nil {
		return nil, err
	}
	for i, c := range limited {
		w := weights[i]
		if w.Err != nil {
			r.tally.failed(c.name, w.Err)
			c.failed = true
			light = append(light, c)
			continue
		}
		r.s.scales.note(c.name, w, r.now)
		if w.Bytes <= c.policy.MaxBytes {
			light = append(light, c)
			continue
		}
		kept := *c // the page is used again
		h := &heavy{stream: &kept}
		h.weighed(w)
		r.weighed[c.name] = true
		r.heavy = append(r.heavy, h)
	}
	return light, nil
}

// isWeighingLate reports whether weighing has had its part of the run. The first
// run weighs all; later ones in turn.
func (r *run) isWeighingLate() bool {
	return r.s.scales.ran && r.weighing > weighingStart+time.Since(r.began)/weighingPart
}

// lighten holds the heavy streams to their limits, and settles them.
func (r *run) lighten(ctx context.Context) error {
	heavies := r.heavy
	var aged []*stream
	for _, h := range heavies {
		if h.policy.MinAge > 0 && h.stats.Info.LastID.IsZero() {
			aged = append(aged, h.stream)
		}
	}
	if err := r.fetchLastIDs(ctx, aged); err != nil {
		return err
	}
	for round := 0; round < maxRounds && len(heavies) > 0 && !isLate(r.until); round++ {
		cut, err := r.cutHeavy(ctx, heavies)
		if err != nil {
			return err
		}
		if err := r.weighAgain(ctx, cut); err != nil {
			return err
		}
		heavies = slices.DeleteFunc(cut, func(h *heavy) bool { return h.failed || h.last })
	}
	return r.settleHeavy(ctx)
}

// excess is how many bytes a stream has too many. What is estimated has to be so
// by more than the estimate may be wrong.
func (h *heavy) excess() int64 {
	excess := h.weight.Bytes - h.policy.MaxBytes
	if h.weight.Estimated && excess < h.policy.MaxBytes/10 {
		return 0
	}
	return max(0, excess)
}

// aim is how much of that goes in a round: what is much is approached in steps, as
// the sizes of entries do not tell exactly what they take.
func (h *heavy) aim() int64 {
	excess := h.excess()
	if excess > h.policy.MaxBytes/5 {
		return excess / 5 * 4
	}
	return excess
}

// cutHeavy takes from each stream what its oldest entries say is too much, and
// returns those that lost some.
func (r *run) cutHeavy(ctx context.Context, heavies []*heavy) (cut []*heavy, err error) {
	byName := make(map[string]*heavy, len(heavies))
	for _, h := range heavies {
		aim := h.aim()
		if aim == 0 {
			continue
		}
		if h.stats.HeavyEntries, err = r.s.store.OldestWithin(ctx, h.name, aim); err != nil {
			return nil, err
		}
		if h.stats.HeavyEntries = min(h.stats.HeavyEntries, h.length()); h.stats.HeavyEntries == 0 {
			continue
		}
		h.entryBytes = max(1, aim/h.stats.HeavyEntries)
		step, over := trim.OverBytes(h.policy, h.stats, r.now)
		if !over {
			continue
		}
		if !slices.ContainsFunc(h.cut.Steps, func(s trim.Step) bool { return s.By == trim.ByBytes }) {
			h.cut.Stream, h.cut.Steps = h.name, append(slices.Clone(h.cut.Steps), step)
		}
		byName[h.name] = h
		r.queue.add(h.stream, queued(r.call(h.stream, step), step))
	}
	done, err := r.drain(ctx)
	var others []backlog
	for _, b := range r.queue.take(nil) {
		if byName[b.stream.name] == nil {
			others = append(others, b)
			continue
		}
		done = append(done, &b.stream)
	}
	r.queue.put(others)
	for _, c := range done {
		h := byName[c.name]
		if c.removed > h.removed {
			cut = append(cut, h)
		}
		*h.stream = *c
	}
	return cut, err
}

// queued is a step of which it is known how many entries it takes.
func queued(call buffer.Trim, s trim.Step) step {
	return step{by: s.By, call: call, over: s.Over, left: s.Over}
}

// weighAgain weighs streams that were cut. One that did not become lighter is left
// alone.
func (r *run) weighAgain(ctx context.Context, cut []*heavy) error {
	for part := range slices.Chunk(cut, maxBatch) {
		names := make([]string, len(part))
		for i, h := range part {
			names[i] = h.name
		}
		weights, err := r.s.store.Weights(ctx, names)
		if err != nil {
			return err
		}
		for i, h := range part {
			if err := weights[i].Err; err != nil {
				r.tally.failed(h.name, err)
				h.failed = true
				continue
			}
			h.last = h.last || weights[i].Bytes >= h.weight.Bytes
			h.weighed(weights[i])
			r.s.scales.note(h.name, weights[i], r.now)
		}
	}
	return nil
}

// weighed takes a weight in.
func (h *heavy) weighed(w buffer.Weight) {
	h.weight, h.stats.Bytes = w, w.Bytes
	h.stats.OldEntries = max(0, h.stats.OldEntries-h.since)
	h.measured(w.Length)
}

// settleHeavy finds out what is still too much, and settles the streams.
func (r *run) settleHeavy(ctx context.Context) error {
	done := make([]*stream, len(r.heavy))
	for i, h := range r.heavy {
		done[i] = h.stream
		h.stats.HeavyEntries = 0
		if excess := h.excess(); !h.failed && excess > 0 {
			entries, err := r.s.store.OldestWithin(ctx, h.name, excess)
			if err != nil {
				return err
			}
			h.stats.HeavyEntries = max(1, entries)
		}
	}
	r.heavy = nil
	return r.settle(ctx, done)
}
