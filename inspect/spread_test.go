package inspect

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/streamkeeper/streamkeeper/buffer"
)

// walkSpread lets a spread look into a stream with these ids, and returns
// those it came upon, in order, and how often it asked.
func walkSpread(t *testing.T, ids []buffer.ID, want int) (seen []buffer.ID, asked int) {
	t.Helper()
	return walkOn(t, newSpread(want, unseen{}, middle), ids)
}

// middle takes the middle for chance.
func middle(n uint64) uint64 { return n / 2 }

// walkOn lets a spread look into a stream until it has enough.
func walkOn(t *testing.T, s *spread, ids []buffer.ID) (seen []buffer.ID, asked int) {
	t.Helper()
	want := s.want + len(s.gaps)
	for {
		from, before, last, ok := s.next()
		if !ok {
			return seen, asked
		}
		if asked++; asked > 3*want+3 {
			t.Fatalf("asked %d times for %d messages", asked, want)
		}
		first, _ := slices.BinarySearchFunc(ids, from, buffer.ID.Compare)
		end, _ := slices.BinarySearchFunc(ids, before, buffer.ID.Compare)
		if before.IsZero() {
			end = len(ids)
		}
		in := ids[min(first, end):end]
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
	t.Parallel()
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
	t.Parallel()
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

// simulated is a stream whose runs are five minutes apart: it gets ten messages a
// second, and has those of the last thousand seconds.
func simulated(run int, finished bool) []buffer.ID {
	end := 1_700_000_000_000 + uint64(run)*300_000
	if finished {
		end = 1_700_000_000_000
	}
	ids := make([]buffer.ID, 10_000)
	for i := range ids {
		ids[i] = buffer.ID{Ms: end - uint64(len(ids)-i)*100}
	}
	return ids
}

// TestADayOfSamplesFindsOneBadMessageInAThousand counts the messages that a day's
// runs look at: 2302 different ones find one in a thousand with a probability of
// 0.9, wherever they are.
func TestADayOfSamplesFindsOneBadMessageInAThousand(t *testing.T) {
	t.Parallel()
	const runs = 24 * 60 / 5
	for name, finished := range map[string]bool{"that flows": false, "that is finished": true} {
		t.Run("in a stream "+name, func(t *testing.T) {
			random := rand.New(rand.NewPCG(1, 2))
			all := make(map[buffer.ID]bool)
			var known unseen
			asked := 0
			for run := range runs {
				s := newSpread(DefaultSamples, known, random.Uint64N)
				seen, n := walkOn(t, s, simulated(run, finished))
				asked += n
				for _, id := range seen {
					all[id] = true
				}
				if known = s.remember(); len(known.gaps) > maxGaps {
					t.Fatalf("%d gaps are remembered", len(known.gaps))
				}
			}
			// Of a stream that is finished the bad ones are ten, of ten thousand.
			missed := math.Pow(0.999, float64(len(all)))
			if finished {
				missed = math.Pow(1-float64(len(all))/10_000, 10)
			}
			if missed > 0.1 {
				t.Errorf("%d different messages, p = %.4f", len(all), 1-missed)
			}
			if asked > 3*runs*DefaultSamples {
				t.Errorf("asked %d times for %d messages", asked, len(all))
			}
		})
	}
}

// TestARhythmDoesNotHideFromTheSamples: each thousandth message is bad, which at
// ten a second comes three times between two runs, always at the same places.
func TestARhythmDoesNotHideFromTheSamples(t *testing.T) {
	t.Parallel()
	found := 0
	const days = 20
	for day := range days {
		random := rand.New(rand.NewPCG(uint64(day), 7))
		var known unseen
		bad := false
		for run := 0; run < 288 && !bad; run++ {
			s := newSpread(DefaultSamples, known, random.Uint64N)
			seen, _ := walkOn(t, s, simulated(run, false))
			for _, id := range seen {
				bad = bad || id.Ms/100%1000 == uint64(day*10+3)
			}
			known = s.remember()
		}
		if bad {
			found++
		}
	}
	if found < 15 { // 18 are expected, with a deviation of 1.4
		t.Errorf("found on %d of %d days", found, days)
	}
}

func TestAFinishedStreamIsSeenAsAWholeAndThenAnew(t *testing.T) {
	t.Parallel()
	ids := evenly(30, 100)
	var known unseen
	all := make(map[buffer.ID]int)
	for run := range 20 {
		s := newSpread(8, known, middle)
		seen, _ := walkOn(t, s, ids)
		known = s.remember()
		if len(seen) == 0 {
			t.Errorf("run %d sees nothing", run)
		}
		for _, id := range seen {
			all[id]++
		}
		if run == 3 && len(all) != len(ids) {
			t.Errorf("%d of %d seen after four runs", len(all), len(ids))
		}
	}
	for _, id := range ids {
		if all[id] < 4 {
			t.Errorf("%s was seen %d times in 20 runs", id, all[id])
		}
	}
}

func TestWhatIsNewIsSeenFirstAndWhatIsGoneIsForgotten(t *testing.T) {
	t.Parallel()
	var known unseen
	ids := evenly(1000, 100)
	s := newSpread(3, known, middle)
	walkOn(t, s, ids)
	known = s.remember()
	for name, now := range map[string][]buffer.ID{
		"more came":           evenly(1100, 100),
		"the oldest went":     evenly(1100, 100)[900:],
		"all but one went":    evenly(1100, 100)[1099:],
		"it was made anew":    {{Ms: 5}, {Ms: 6}, {Ms: 7}},
		"ids went back a bit": evenly(900, 100),
	} {
		t.Run(name, func(t *testing.T) {
			s := newSpread(3, known, middle)
			seen, _ := walkOn(t, s, now)
			if len(seen) != min(3, len(now)) {
				t.Errorf("seen %v", seen)
			}
			if name != "ids went back a bit" && seen[0] != now[len(now)-1] {
				t.Errorf("%s came first, the newest is %s", seen[0], now[len(now)-1])
			}
		})
	}
}
