package sweep

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/streamkeeper/streamkeeper/internal/redistest"
	"github.com/streamkeeper/streamkeeper/trim"
)

// oddShape is a stream whose memory says little of its entries, or the other way round.
type oddShape struct {
	entries int
	// at is when an entry came, in ms since the first.
	at func(i int) int
	// size is that of its payload, in bytes; fields are its fields where they are others.
	size   func(i int) int
	fields func(i int) []any
	// nodes are limits of macro nodes: entries and bytes.
	nodes [2]string
	// pending entries of so many consumer groups.
	pending int64
	groups  int
	// most is what may stay, as a share of the limit, besides a macro node.
	most float64
}

func oddShapes() map[string]oddShape {
	byDefault := [2]string{"100", "4096"}
	even := func(i int) int { return i }
	of := func(bytes int) func(int) int { return func(int) int { return bytes } }
	bursts := func(large, small int) func(i int) int {
		return func(i int) int {
			if i%100 == 0 {
				return large
			}
			return small
		}
	}
	at500 := func(i int) int { return i / 100 * 500 }
	return map[string]oddShape{
		"a large message first in each burst":             {9000, at500, bursts(20_000, 2100), nil, byDefault, 0, 0, 1.05},
		"a large message first in each burst, many nodes": {12_000, at500, bursts(20_000, 2100), nil, byDefault, 0, 0, 1.3},
		"large for an hour, then small for a second": {11_360, func(i int) int { return min(i, 360)*10_000 + max(0, i-360)/10 },
			func(i int) int { return 2100 + max(0, 1-i/360)*18_000 }, nil, byDefault, 0, 0, 1.3},
		"fields of one character, with changing names": {30_000, even, nil, func(i int) []any {
			var fields []any
			for n := range 10 {
				fields = append(fields, fmt.Sprint("f", (i+n)%40), "1")
			}
			return fields
		}, byDefault, 0, 0, 1.1},
		"single nodes of a size that the allocator rounds up": {9000, even, of(2100), nil, byDefault, 0, 0, 1.05},
		"ten entries a node":                {30_000, even, of(10), nil, [2]string{"10", "4096"}, 0, 0, 1.05},
		"an entry a node":                   {9000, even, of(80), nil, [2]string{"1", "4096"}, 0, 0, 1.05},
		"much pending in groups":            {10_000, even, of(100), nil, byDefault, 10_000, 5, 1.3},
		"large in bursts, pending in group": {10_000, at500, bursts(20_000, 200), nil, byDefault, 2500, 5, 1.3},
	}
}

// plant makes a stream of that shape, whose first entry came then.
func (shape oddShape) plant(w *fixture, since int64) {
	w.t.Helper()
	w.list("car")
	id := func(i int) string { return fmt.Sprintf("%d-%d", since+int64(shape.at(i)), i+1) }
	if shape.fields == nil {
		ids := make([]string, shape.entries)
		for i := range ids {
			ids[i] = id(i)
		}
		redistest.AddEntries(w.t, w.rdb, "stream:car", ids, shape.size, "id", "7", "data")
		return
	}
	commands := make([][]any, shape.entries)
	for i := range commands {
		commands[i] = append([]any{"XADD", "stream:car", id(i)}, shape.fields(i)...)
	}
	redistest.Do(w.t, w.rdb, commands)
}

// Whatever the shape of a stream, what stays is not much less than its limit; nothing
// goes from one that is within it.
func TestNoShapeOfAStreamLosesMoreThanIsOverItsLimit(t *testing.T) {
	t.Parallel()
	for name, shape := range oddShapes() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := realFixture(t)
			w.rdb.ConfigSet(t.Context(), "stream-node-max-entries", shape.nodes[0])
			w.rdb.ConfigSet(t.Context(), "stream-node-max-bytes", shape.nodes[1])
			since := time.Now().Add(-3 * time.Hour).UnixMilli()
			w.list("car")
			shape.plant(w, since)
			before := w.bytes("car")
			for n := range shape.groups {
				group := fmt.Sprint("g", n)
				w.group(group, "0")
				w.read(group, shape.pending, shape.pending)
			}
			groups := w.bytes("car") - before
			entries := w.length("car")
			w.run(w.trimmer(trim.Policy{MaxBytes: before * 10 / 9}))
			if n := w.length("car"); n != entries {
				t.Errorf("within its limit, it lost %d of %d entries", entries-n, entries)
			}
			for _, over := range []int64{11, 15, 30, 100} {
				limit := before * 10 / over
				tr := w.trimmer(trim.Policy{MaxBytes: limit})
				for range 3 {
					w.run(tr)
				}
				if share := float64(w.bytes("car")-groups) / float64(limit); share < 0.85 || share > shape.most {
					t.Errorf("%.1f times over: %.3f of the limit stays, %d of %d entries", float64(over)/10, share, w.length("car"), entries)
				}
			}
		})
	}
}

// While producers append, and two instances trim, what stays is the newest part of the
// stream, and never much less than the limit.
func TestProducersAndTwoInstancesAtOnceLoseNoMoreThanIsOver(t *testing.T) {
	t.Parallel()
	w := realFixture(t)
	const limit = 1 << 20
	sizes := make([]int, 4000)
	for i := range sizes {
		sizes[i] = 100 + i%7*300
	}
	w.add("car", time.Now().Add(-time.Hour), sizes)
	appended := w.remaining("car")
	ended := make(chan error, 1)
	go func() {
		for i := range 5000 {
			id := fmt.Sprintf("%d-%d", time.Now().UnixMilli(), i+1)
			if err := w.rdb.XAdd(t.Context(), &redis.XAddArgs{Stream: "stream:car", ID: id, Values: []any{"id", 7, "data", strings.Repeat("x", 100+i%7*300)}}).Err(); err != nil {
				ended <- err
				return
			}
			appended = append(appended, id)
		}
		ended <- nil
	}()
	other := newFixture(t, w.rdb, "redis://"+w.rdb.Options().Addr)
	instances := []*Sweeper{w.trimmer(trim.Policy{MaxBytes: limit}), other.trimmer(trim.Policy{MaxBytes: limit})}
	for appending := true; appending; {
		select {
		case err := <-ended:
			if err != nil {
				t.Fatal(err)
			}
			appending = false
		default:
		}
		done := make(chan error, len(instances))
		for _, tr := range instances {
			go func() {
				_, err := tr.Run(t.Context())
				done <- err
			}()
		}
		for range instances {
			if err := <-done; err != nil {
				t.Fatal(err)
			}
		}
		if share := float64(w.bytes("car")) / limit; share < 0.85 {
			t.Fatalf("%.3f of the limit is left", share)
		}
	}
	if left := w.remaining("car"); !slices.Equal(left, appended[len(appended)-len(left):]) || w.bytes("car") > limit*12/10 {
		t.Errorf("%d entries of %d bytes are left, and they are not the last ones", len(left), w.bytes("car"))
	}
}
