package cleanup

import (
	"fmt"
	"testing"

	"github.com/streamkeeper/streamkeeper/buffer"
)

func TestASketchTellsAnotherDecisionFromTheSame(t *testing.T) {
	of := func(from, to int) (s sketch) {
		for i := from; i < to; i++ {
			s.add(Expire, fmt.Sprint("session ", i))
			s.add(Expire, fmt.Sprint("session ", i)) // a scan may name it twice
		}
		return s
	}
	for _, c := range []struct {
		what     string
		count    int // names before
		from, to int // names now
		same     bool
	}{
		{"the same few", 12, 0, 12, true},
		{"one more", 12, 0, 13, true},
		{"two more", 12, 0, 14, false},
		{"one exchanged", 12, 1, 13, true},
		{"two exchanged", 12, 2, 14, false},
		{"all exchanged", 12, 12, 24, false},
		{"fewer", 12, 0, 3, true},
		{"none", 12, 0, 0, true},
		{"the same many", 5000, 0, 5000, true},
		{"a twentieth exchanged", 5000, 250, 5250, true},
		{"half exchanged", 5000, 2500, 7500, false},
		{"all exchanged, many", 5000, 5000, 10_000, false},
		{"carried out in part", 5000, 0, 1000, true},
		{"others, and fewer", 5000, 6000, 7000, false},
		{"others, and few", 5000, 6000, 6003, false},
		{"few became many", 12, 0, 5000, false},
	} {
		before, now := of(0, c.count), of(c.from, c.to)
		note := make(buffer.StateFields)
		before.noteIn(note)
		if same := now.isSameAs(sketchOf(note), int64(c.count)); same != c.same {
			fresh, among := now.newSince(before)
			t.Errorf("%s: the same %t, %d new of %d", c.what, same, fresh, among)
		}
	}
	if a, b := of(0, 5), of(0, 5); a.isSameAs(sketch{}, 5) || !b.isSameAs(a, 5) {
		t.Error("a note without names is of another decision")
	}
}
