package pressure

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/streamkeeper/streamkeeper/buffer"
	"github.com/streamkeeper/streamkeeper/internal/golden"
)

func TestPressureMovesByHowFullANodeIs(t *testing.T) {
	for _, c := range []struct {
		name  string
		used  int64
		limit int64
		share float64
		want  Move
	}{
		{"without maxmemory there is none", 900, 0, 0.9, Relax},
		{"above the share", 901, 1000, 0.9, Tighten},
		{"at the share", 900, 1000, 0.9, HoldOn},
		{"just below", 851, 1000, 0.9, HoldOn},
		{"well below", 849, 1000, 0.9, Relax},
		{"beyond maxmemory", 1200, 1000, 1, Tighten},
		{"a small share relaxes at half of it", 19, 1000, 0.04, Relax},
		{"and not before", 21, 1000, 0.04, HoldOn},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := NextMove(buffer.NodeMemory{Used: c.used, Limit: c.limit}, c.share); got != c.want {
				t.Errorf("move %d, want %d", got, c.want)
			}
		})
	}
}

// TestSteps shows, step after step, what the streams keep.
func TestSteps(t *testing.T) {
	var out strings.Builder
	for _, c := range []struct {
		name    string
		need    int64
		streams []Stream
	}{
		{"nothing is needed", 0, []Stream{{Name: "a", Bytes: 1000, Length: 100, Least: 1}}},
		{"a little: the largest alone", 50, []Stream{{Name: "a", Bytes: 1000, Length: 100, Least: 1}, {Name: "b", Bytes: 900, Length: 100, Least: 1}}},
		{"more: as many as it takes", 200, []Stream{
			{Name: "a", Bytes: 1000, Length: 100, Least: 1}, {Name: "b", Bytes: 900, Length: 100, Least: 1}, {Name: "c", Bytes: 100, Length: 100, Least: 1},
		}},
		{"the bytes count, not the entries", 100, []Stream{{Name: "few large", Bytes: 1000, Length: 10, Least: 1}, {Name: "many small", Bytes: 999, Length: 1000, Least: 1}}},
		{"large ones come down to the others", 600, []Stream{{Name: "a", Bytes: 1000, Length: 100, Least: 1}, {Name: "b", Bytes: 500, Length: 100, Least: 1}}},
		{"young entries stay", 900, []Stream{{Name: "a", Bytes: 1000, Length: 100, Least: 80}, {Name: "b", Bytes: 500, Length: 100, Least: 100}}},
		{"one entry stays", 5000, []Stream{{Name: "a", Bytes: 1000, Length: 4, Least: 1}}},
		{"what whole macro nodes left is cut further", 100, []Stream{{Name: "a", Bytes: 1000, Length: 100, Kept: 70, Least: 1}}},
	} {
		fmt.Fprintf(&out, "%s: %d bytes\n", c.name, c.need)
		for need := c.need; need > 0; {
			steps := PlanStep(need, c.streams)
			if len(steps) == 0 {
				fmt.Fprintf(&out, "  nothing more may go, %d bytes are still needed\n", need)
				break
			}
			var parts []string
			for _, step := range steps {
				w := find(c.streams, step.Stream)
				parts = append(parts, fmt.Sprintf("%s keeps %d of %d", step.Stream, step.Keep, w.Length))
				need -= w.bytesOf(w.Length - step.Keep)
				w.lose(w.Length - step.Keep)
			}
			fmt.Fprintf(&out, "  %s\n", strings.Join(parts, ", "))
		}
	}
	golden.Compare(t, "testdata/steps.golden", out.String())
}

func TestRetentionComesBackStepByStep(t *testing.T) {
	s, still := Reduction{Keep: 700, Of: 1000}, true
	var keeps []int64
	for still {
		s, still = s.Relaxed()
		keeps = append(keeps, s.Keep)
	}
	if want := []int64{801, 916, 1047}; !slices.Equal(keeps, want) {
		t.Errorf("keeps %d, want %d", keeps, want)
	}
}

func TestTheLargestStreamsAreKnownWhateverTheOrder(t *testing.T) {
	var h largest
	for i := range int64(3 * largestAtOnce) {
		bytes := i * 7919 % (3 * largestAtOnce)
		h.add(Stream{Name: fmt.Sprint(bytes), Bytes: bytes})
	}
	if n := len(h.top()); n != largestAtOnce {
		t.Fatalf("%d streams, want %d", n, largestAtOnce)
	}
	for _, w := range h.top() {
		if w.Bytes < 2*largestAtOnce {
			t.Fatalf("%d bytes are not among the largest", w.Bytes)
		}
	}
}
