package inspect

import (
	"math"
	"slices"
	"testing"

	"github.com/streamkeeper/streamkeeper/buffer"
)

// walkSpread lets a spread look into a stream with these ids, and returns
// those it came upon, in order, and how often it asked.
func walkSpread(t *testing.T, ids []buffer.ID, want int) (seen []buffer.ID, asked int) {
	t.Helper()
	s := newSpread(want)
	for {
		from, before, last, ok := s.next()
		if !ok {
			return seen, asked
		}
		if asked++; asked > 3*want+3 {
			t.Fatalf("asked %d times for %d messages", asked, want)
		}
		in := slices.DeleteFunc(slices.Clone(ids), func(id buffer.ID) bool {
			return id.Less(from) || !before.IsZero() && !id.Less(before)
		})
		switch {
		case len(in) == 0:
			s.empty()
		case last:
			seen = append(seen, in[len(in)-1])
			s.found(in[len(in)-1])
		default:
			seen = append(seen, in[0])
			s.found(in[0])
		}
	}
}

func evenly(n int, step uint64) []buffer.ID {
	ids := make([]buffer.ID, n)
	for i := range ids {
		ids[i] = buffer.ID{Ms: 1_700_000_000_000 + uint64(i)*step}
	}
	return ids
}

func TestSpreadFindsAsManyAsWantedAndNoneTwice(t *testing.T) {
	streams := map[string][]buffer.ID{
		"empty":                      nil,
		"one message":                evenly(1, 1),
		"two messages":               evenly(2, 100),
		"three messages":             evenly(3, 100),
		"evenly":                     evenly(1000, 100),
		"every millisecond":          evenly(50, 1),
		"all in one millisecond":     {{Ms: 5, Seq: 1}, {Ms: 5, Seq: 2}, {Ms: 5, Seq: 3}, {Ms: 5, Seq: 9}, {Ms: 5, Seq: 1000}},
		"a counter":                  {{Seq: 1}, {Seq: 2}, {Seq: 3}, {Seq: 4}, {Seq: 5}, {Seq: 6}},
		"the oldest alone long ago":  append([]buffer.ID{{Ms: 1}}, evenly(20, 3)...),
		"the newest alone far ahead": append(evenly(20, 3), buffer.ID{Ms: math.MaxUint64, Seq: math.MaxUint64}),
		"two milliseconds":           {{Ms: 7, Seq: 5}, {Ms: 7, Seq: 6}, {Ms: 7, Seq: math.MaxUint64}, {Ms: 8}, {Ms: 8, Seq: 1}},
	}
	for name, ids := range streams {
		t.Run(name, func(t *testing.T) {
			for want := 1; want <= 12; want++ {
				seen, _ := walkSpread(t, ids, want)
				sorted := slices.Clone(seen)
				slices.SortFunc(sorted, buffer.ID.Compare)
				if len(slices.Compact(sorted)) != min(want, len(ids)) || len(seen) != min(want, len(ids)) {
					t.Errorf("%d wanted of %d: found %v", want, len(ids), seen)
				}
				if len(seen) > 0 && seen[0] != ids[len(ids)-1] {
					t.Errorf("%d wanted: %s came first, not the newest", want, seen[0])
				}
				if len(seen) > 1 && seen[1] != ids[0] {
					t.Errorf("%d wanted: %s came second, not the oldest", want, seen[1])
				}
			}
		})
	}
}

func TestSpreadLooksBetweenTheEndsEvenly(t *testing.T) {
	ids := evenly(1001, 100)
	seen, asked := walkSpread(t, ids, 5)
	want := []buffer.ID{ids[1000], ids[0], ids[500], ids[251], ids[750]}
	for i, id := range seen {
		if apart := int64(id.Ms) - int64(want[i].Ms); apart < -200 || apart > 200 {
			t.Errorf("message %d is %s, want about %s", i, id, want[i])
		}
	}
	if asked != 5 {
		t.Errorf("asked %d times, want 5: each question touches a payload", asked)
	}
}
