package sweep

import (
	"context"
	"maps"
	"time"

	"github.com/streamkeeper/streamkeeper/buffer"
	"github.com/streamkeeper/streamkeeper/internal/redisconn"
	"github.com/streamkeeper/streamkeeper/trim"
)

// sizes say which streams were measured.
type sizes struct {
	// ran: a run has measured all streams.
	ran bool
	// turn, unless it is nil, are the streams that were measured since the time of a
	// run did not suffice for all: they wait for the others.
	turn map[string]bool
}

// Measuring takes no more than so much of a run, and a part of what else it takes.
const (
	leastMeasuring = 20 * time.Millisecond
	measuringPart  = 10
)

// end ends a run. Where it left streams out, the next runs begin with those.
func (s *sizes) end(measured map[string]bool, leftOut bool) {
	s.ran = true
	if !leftOut {
		s.turn = nil
		return
	}
	if s.turn == nil {
		s.turn = make(map[string]bool)
	}
	maps.Copy(s.turn, measured)
}

// byBytes is what a run does about limits of bytes.
type byBytes struct {
	oversized []*oversized
	// measured are the streams that were measured in this run.
	measured map[string]bool
	// took is how long measuring took since the run began.
	began time.Time
	took  time.Duration
	// leftOut: the time did not suffice to measure all.
	leftOut bool
}

// mayMeasure reports whether there is time to measure. The first run measures all.
func (b *byBytes) mayMeasure(first bool) bool {
	if first || b.took <= leastMeasuring+time.Since(b.began)/measuringPart {
		return true
	}
	b.leftOut = true
	return false
}

// measurement is what a stream takes, or, where Redis cannot count, how many of its
// newest entries take the limit.
type measurement struct {
	buffer.EntryMemory
	keep int64
}

// over reports whether it is too much.
func (m measurement) over(p trim.Policy) bool {
	if m.keep > 0 {
		return m.Length > m.keep
	}
	return m.Bytes > p.MaxBytes
}

// measureMemory measures streams. One that cannot be measured has failed.
func (r *run) measureMemory(ctx context.Context, streams []*stream) ([]measurement, error) {
	memories, err := r.s.store.EntryMemories(ctx, namesOf(streams))
	if err != nil {
		return nil, err
	}
	all := make([]measurement, len(streams))
	for i, c := range streams {
		m := measurement{EntryMemory: memories[i]}
		if m.Uncounted && m.Err == nil {
			if m, err = r.measureNewest(ctx, c, m.EntryMemory); err != nil {
				return nil, err
			}
		}
		if m.Err != nil {
			r.tally.failed(c.name, m.Err)
			c.failed = true
		}
		all[i] = m
	}
	return all, nil
}

// leastKept is how much of its limit a stream keeps, in hundredths, where it is known
// of each entry only what it takes at least.
const leastKept = 85

// measureNewest counts the newest entries up to the limit: what stays is known then,
// whatever the older ones take.
func (r *run) measureNewest(ctx context.Context, c *stream, m buffer.EntryMemory) (measurement, error) {
	newest, err := r.s.store.NewestOf(ctx, c.name, c.policy.MaxBytes/100*leastKept)
	if redisconn.IsLost(err) {
		return measurement{}, err
	}
	m.Uncounted, m.Estimated, m.Sampled, m.Err = false, true, true, err
	if newest.Entries == 0 {
		return measurement{m, m.Length}, nil // it has just gone, and may be another one now
	}
	m.Bytes = int64(float64(newest.Bytes) / float64(newest.Entries) * float64(m.Length))
	return measurement{m, newest.Entries}, nil
}
