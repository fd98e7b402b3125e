package sweep

import (
	"testing"
	"time"

	"github.com/streamkeeper/streamkeeper/trim"
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

// A failover to a node that is further away makes calls slower, and Redis not: two runs
// later they free as much as before.
func TestAWayThatBecomesLongerIsNotTakenForASlowRedis(t *testing.T) {
	t.Parallel()
	p := newPace(DefaultMaxStall)
	run := func(way time.Duration) {
		p.begin()
		p.trips(way)
		for range 20 {
			p.took(way+time.Duration(float64(100*time.Microsecond)*float64(p.slice)/(1<<20)), p.slice)
		}
	}
	run(50 * time.Microsecond)
	if p.slice != p.most() {
		t.Fatalf("a quick Redis gets %d bytes, not %d", p.slice, p.most())
	}
	looks := maxLooks
	for n := range 3 {
		run(20 * time.Millisecond)
		looks = p.calls(looks, firstLooks, maxLooks, 20*time.Millisecond+p.stall/4)
		if n == 0 && p.slice == p.most() {
			t.Error("the first run knows that the way became longer")
		}
	}
	if p.slice != p.most() || looks < maxLooks/2 {
		t.Errorf("a slice of %d bytes, not %d, and %d looks", p.slice, p.most(), looks)
	}
	run(50 * time.Microsecond)
	if p.trip != 50*time.Microsecond || p.slice != p.most() {
		t.Errorf("the way is short again, and calls take %v of it; a slice of %d bytes", p.trip, p.slice)
	}
}

// Each run has a way of its own.
func TestARunForgetsHowLongTheWayWas(t *testing.T) {
	w := miniFixture(t)
	tr := w.trimmer(trim.Policy{MaxLength: 10})
	tr.pace.trip, tr.pace.recent = 1, 1
	w.run(tr)
	w.run(tr)
	if tr.pace.trip == 1 {
		t.Error("the quickest call is one of two runs before")
	}
}
