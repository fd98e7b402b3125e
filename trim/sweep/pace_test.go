package sweep

import (
	"testing"
	"time"
)

func TestABatchBlocksRedisNoLongerThanACallMay(t *testing.T) {
	t.Parallel()
	for _, perMegabyte := range []time.Duration{100 * time.Microsecond, time.Millisecond, 10 * time.Millisecond, 100 * time.Millisecond} {
		p := newPace(DefaultMaxStall)
		if batch := p.batch(); batch > 4*firstSlice {
			t.Errorf("before anything is known of Redis, a batch of %d bytes", batch)
		}
		takes := func(bytes int64) time.Duration {
			return time.Duration(float64(perMegabyte) * float64(bytes) / (1 << 20))
		}
		for range 100 {
			p.took(50*time.Microsecond+takes(p.slice), p.slice)
			p.trips(50 * time.Microsecond)
		}
		switch batch := p.batch(); {
		case batch < p.slice || batch > batchSlices*p.most():
			t.Errorf("%v a megabyte: a batch of %d bytes, a slice of %d", perMegabyte, batch, p.slice)
		case batch > p.slice && takes(batch) > p.stall:
			t.Errorf("%v a megabyte: a batch takes %v, more than %v", perMegabyte, takes(batch), p.stall)
		case perMegabyte == 100*time.Microsecond && batch != batchSlices*p.most():
			t.Errorf("a quick Redis gets %d bytes, not %d", batch, batchSlices*p.most())
		}
	}
}

func TestTheMostCarefulPaceIsTheOneOfTheSlowestNode(t *testing.T) {
	t.Parallel()
	unknown, quick, slow, slower := newPace(DefaultMaxStall), newPace(DefaultMaxStall), newPace(DefaultMaxStall), newPace(DefaultMaxStall)
	quick.cost, slow.cost = 0.1, 1.1
	slower.slice /= 2
	if got := slowest([]pace{unknown, quick, slow}); got.cost != slow.cost {
		t.Errorf("with slices alike, it is the one of %v ns a byte", got.cost)
	}
	if got := slowest([]pace{slow, slower, quick}); got.slice != slower.slice {
		t.Errorf("it is the one with a slice of %d bytes", got.slice)
	}
}
