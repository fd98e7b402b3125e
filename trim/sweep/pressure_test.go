package sweep

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/streamkeeper/streamkeeper/buffer"
)

func TestPressureMovesByHowFullANodeIs(t *testing.T) {
	for _, c := range []struct {
		name  string
		used  int64
		limit int64
		share float64
		want  move
	}{
		{"without maxmemory there is none", 900, 0, 0.9, relax},
		{"above the share", 901, 1000, 0.9, tighten},
		{"at the share", 900, 1000, 0.9, holdOn},
		{"just below", 851, 1000, 0.9, holdOn},
		{"well below", 849, 1000, 0.9, relax},
		{"beyond maxmemory", 1200, 1000, 1, tighten},
		{"a small share relaxes at half of it", 19, 1000, 0.04, relax},
		{"and not before", 21, 1000, 0.04, holdOn},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := nextMove(buffer.NodeMemory{Used: c.used, Limit: c.limit}, c.share); got != c.want {
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
		streams []weight
	}{
		{"nothing is needed", 0, []weight{{stream: "a", bytes: 1000, length: 100, least: 1}}},
		{"a little: the largest alone", 50, []weight{{stream: "a", bytes: 1000, length: 100, least: 1}, {stream: "b", bytes: 900, length: 100, least: 1}}},
		{"more: as many as it takes", 200, []weight{
			{stream: "a", bytes: 1000, length: 100, least: 1}, {stream: "b", bytes: 900, length: 100, least: 1}, {stream: "c", bytes: 100, length: 100, least: 1},
		}},
		{"the bytes count, not the entries", 100, []weight{{stream: "few large", bytes: 1000, length: 10, least: 1}, {stream: "many small", bytes: 999, length: 1000, least: 1}}},
		{"large ones come down to the others", 600, []weight{{stream: "a", bytes: 1000, length: 100, least: 1}, {stream: "b", bytes: 500, length: 100, least: 1}}},
		{"young entries stay", 900, []weight{{stream: "a", bytes: 1000, length: 100, least: 80}, {stream: "b", bytes: 500, length: 100, least: 100}}},
		{"one entry stays", 5000, []weight{{stream: "a", bytes: 1000, length: 4, least: 1}}},
		{"what whole macro nodes left is cut further", 100, []weight{{stream: "a", bytes: 1000, length: 100, kept: 70, least: 1}}},
	} {
		fmt.Fprintf(&out, "%s: %d bytes\n", c.name, c.need)
		for need := c.need; need > 0; {
			cuts := squeeze(need, c.streams)
			if len(cuts) == 0 {
				fmt.Fprintf(&out, "  nothing more may go, %d bytes are still needed\n", need)
				break
			}
			var parts []string
			for _, cut := range cuts {
				w := find(c.streams, cut.stream)
				parts = append(parts, fmt.Sprintf("%s keeps %d of %d", cut.stream, cut.keep, w.length))
				need -= w.bytesOf(w.length - cut.keep)
				w.lose(w.length - cut.keep)
			}
			fmt.Fprintf(&out, "  %s\n", strings.Join(parts, ", "))
		}
	}
	golden(t, "steps", out.String())
}

func TestRetentionComesBackStepByStep(t *testing.T) {
	s, still := shorter{keep: 700, of: 1000}, true
	var keeps []int64
	for still {
		s, still = s.relaxed()
		keeps = append(keeps, s.keep)
	}
	if want := []int64{801, 916, 1047}; !slices.Equal(keeps, want) {
		t.Errorf("keeps %d, want %d", keeps, want)
	}
}

func TestTheLargestStreamsAreKnownWhateverTheOrder(t *testing.T) {
	var h heaviest
	for i := range int64(3 * heaviestAtOnce) {
		bytes := i * 7919 % (3 * heaviestAtOnce)
		h.add(weight{stream: fmt.Sprint(bytes), bytes: bytes})
	}
	if n := len(h.largest()); n != heaviestAtOnce {
		t.Fatalf("%d streams, want %d", n, heaviestAtOnce)
	}
	for _, w := range h.largest() {
		if w.bytes < 2*heaviestAtOnce {
			t.Fatalf("%d bytes are not among the largest", w.bytes)
		}
	}
}
