package metrics

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/streamkeeper/streamkeeper/buffer"
	"github.com/streamkeeper/streamkeeper/burst"
	"github.com/streamkeeper/streamkeeper/trim"
)

// shows makes the metrics show a reading that chose the streams.
func shows(m *Metrics, names ...string) {
	r := reading{at: testNow, streams: int64(len(names))}
	for _, name := range names {
		r.chosen = append(r.chosen, chosen{name: name, figures: figures{entries: 1, timed: true}})
	}
	m.streams.show(r)
}

func removedFrom(label string) string {
	return fmt.Sprintf(`streamkeeper_trim_entries_removed_total{reason="length",stream=%q}`, label)
}

func TestAStreamThatLosesItsLabelEndsItsSeries(t *testing.T) {
	m := newMetrics(2)
	atFirst := values(t, m)
	m.TrimRemoved("a", trim.ByLength, 1) // has no label yet
	shows(m, "a", "b")
	wantValue(t, m, removedFrom("a"), 0)
	m.TrimRemoved("a", trim.ByLength, 10)
	m.TrimRemoved("b", trim.ByLength, 100)
	wantValue(t, m, removedFrom("a"), 10)
	shows(m, "b", "c")
	m.TrimRemoved("a", trim.ByLength, 1000)
	wantValue(t, m, removedFrom("b"), 100)
	wantValue(t, m, removedFrom("c"), 0)
	wantValue(t, m, removedFrom(Other), 1001)
	shows(m)
	left := slices.Sorted(maps.Keys(values(t, m)))
	if want := slices.Sorted(maps.Keys(atFirst)); !slices.Equal(left, want) {
		t.Errorf("series are left behind:\n%v", left)
	}
}

func TestCountersNeverGoBackwardsAndSeriesAreBounded(t *testing.T) {
	const most = 5
	m := newMetrics(most)
	random := rand.New(rand.NewPCG(1, 2))
	names := make([]string, 20)
	for i := range names {
		names[i] = fmt.Sprint("s", i)
	}
	before := values(t, m)
	for range 300 {
		random.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
		if random.IntN(3) == 0 {
			shows(m, names[:random.IntN(most+1)]...)
		}
		name := names[random.IntN(len(names))]
		m.TrimRemoved(name, trim.Reasons[random.IntN(len(trim.Reasons))], random.Int64N(10))
		m.Inspected(Message{Stream: name, Verdict: burst.Verdicts()[random.IntN(3)]})

		now := values(t, m)
		labels := make(map[string]bool)
		for series, value := range now {
			if strings.Contains(series, "_total{") && value < before[series] && strings.Contains(series, Other) {
				t.Fatalf("%s went from %v to %v", series, before[series], value)
			}
			if _, rest, ok := strings.Cut(series, `stream="`); ok {
				label, _, _ := strings.Cut(rest, `"`)
				labels[label] = true
			}
		}
		if len(labels) > most+1 {
			t.Fatalf("%d labels, want at most %d and the other", len(labels), most)
		}
		before = now
	}
}

func TestAnyNameMakesALabelOfItsOwn(t *testing.T) {
	seen := map[string]string{Other: "the others"}
	for _, name := range hostileNames {
		label := Label(name)
		if before, ok := seen[label]; ok {
			t.Errorf("%q and %q have the same label %q", name, before, label)
		}
		seen[label] = name
		if back, err := buffer.Unescape(label); err != nil || back != name {
			t.Errorf("label %q reads back as %q, %v; want %q", label, back, err, name)
		}
	}
}

func TestAStreamNamedLikeTheOthersDoesNotClash(t *testing.T) {
	m := newMetrics(1)
	shows(m, Other)
	m.TrimRemoved(Other, trim.ByLength, 5)
	wantValue(t, m, removedFrom(`\x5fother`), 5)
	wantValue(t, m, removedFrom(Other), 0)
}

func TestTheOthersHaveNeitherCoverageNorIdleTime(t *testing.T) {
	m := newMetrics(1)
	m.Leader(true)
	shows(m, "a")
	for series := range values(t, m) {
		if strings.Contains(series, Other) && (strings.Contains(series, "coverage") || strings.Contains(series, "idle")) {
			t.Errorf("there is %s, of streams whose ids nobody read", series)
		}
	}
	wantValue(t, m, `streamkeeper_stream_coverage_seconds{stream="a"}`, 0)
}

func TestAStreamShowsItsLimitsAndItsNodes(t *testing.T) {
	m := New(Options{MaxStreams: 1, Limits: func(string) Limits { return Limits{Entries: 7, Age: time.Minute} }})
	m.streams.show(reading{streams: 1, chosen: []chosen{{name: "a", figures: figures{entries: 4, nodeEntries: 3}}}})
	wantValue(t, m, `streamkeeper_stream_limit_entries{stream="a"}`, 7)
	wantValue(t, m, `streamkeeper_stream_limit_age_seconds{stream="a"}`, 60)
	wantValue(t, m, `streamkeeper_stream_node_entries{stream="a"}`, 3)
}

func TestTheLastInspectionSaysWhatIsInvalidNow(t *testing.T) {
	m := newMetrics(2)
	shows(m, "a", "b")
	inspect := func(complete bool, found map[string]burst.Verdict) {
		m.InspectStarted()
		for name, verdict := range found {
			m.Inspected(Message{Stream: name, Verdict: verdict})
		}
		m.InspectEnded(complete)
	}
	wantInvalid := func(label string, want float64) {
		t.Helper()
		wantValue(t, m, fmt.Sprintf(`streamkeeper_last_run_invalid_messages{stream=%q}`, label), want)
	}
	inspect(true, map[string]burst.Verdict{"a": burst.Invalid, "b": burst.OK, "without a label": burst.Invalid})
	wantInvalid("a", 1)
	wantInvalid("b", 0)
	wantInvalid(Other, 1)
	inspect(false, map[string]burst.Verdict{"b": burst.Invalid}) // it broke off before a
	wantInvalid("a", 1)
	wantInvalid("b", 1)
	m.InspectStarted()
	wantInvalid("b", 1)      // until the run has ended
	m.InspectPassedOver("a") // it is paused
	m.InspectEnded(true)
	wantInvalid("a", 1)
	wantInvalid("b", 0)
	wantInvalid(Other, 0)
	inspect(true, nil)
	wantInvalid("a", 0)
}

func TestCoverageOfIdsThatAreNoTimesIsAbsent(t *testing.T) {
	m := newMetrics(1)
	m.streams.show(reading{streams: 1, chosen: []chosen{{name: "a", figures: figures{entries: 4}}}})
	wantValue(t, m, `streamkeeper_stream_entries{stream="a"}`, 4)
	for _, name := range []string{"coverage", "idle"} {
		series := `streamkeeper_stream_` + name + `_seconds{stream="a"}`
		if v, ok := values(t, m)[series]; ok {
			t.Errorf("%s is %v, want none", series, v)
		}
	}
}

func TestASnapshotTellsOfTheLastRun(t *testing.T) {
	now := testNow
	m := New(Options{
		MaxStreams: 2, Now: func() time.Time { return now },
		Limits: func(stream string) Limits { return Limits{Entries: int64(10 * len(stream))} },
	})
	m.streams.show(reading{at: now, streams: 5, otherEntries: 6, chosen: []chosen{
		{name: "a", figures: figures{entries: 3, timed: true, coverage: time.Minute, idle: time.Second}}, {name: "bb", figures: figures{entries: 7}},
	}})
	m.TrimStarted()
	m.TrimRemoved("a", trim.ByLength, 100)
	m.InspectStarted()
	m.Inspected(Message{Stream: "a", Verdict: burst.Invalid, Encoding: "frame"})
	now = now.Add(time.Minute)
	m.TrimStarted()
	m.TrimRemoved("a", trim.ByLength, 1)
	m.TrimRemoved("a", trim.ByAge, 2)
	m.InspectStarted()
	m.Inspected(Message{Stream: "a", Verdict: burst.OK})
	m.Inspected(Message{Stream: "a", Verdict: burst.Warn, Encoding: "pickle"})

	got := m.Snapshot()
	want := Snapshot{
		Read: testNow, Streams: 5, OtherStreams: 3, OtherEntries: 6,
		Chosen: []StreamFigures{
			{Label: "bb", Entries: 7, Limit: 20, History: History{Entries: []int64{7}, Removed: []int64{0}}},
			{
				Label: "a", Entries: 3, Limit: 10, Timed: true, Coverage: time.Minute, Idle: time.Second,
				Trimmed: now, Removed: 3, Inspected: now, Encoding: "pickle", OK: 1, Warn: 1,
				History: History{Entries: []int64{3}, Removed: []int64{0}},
			},
		},
	}
	if !reflect.DeepEqual(got.Chosen, want.Chosen) {
		t.Errorf("streams\n%+v, want\n%+v", got.Chosen, want.Chosen)
	}
	got.Chosen, want.Chosen = nil, nil
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("snapshot %+v, want %+v", got, want)
	}
}

func TestTheTopKeepsTheLongestWhereNoMemoryIsKnown(t *testing.T) {
	type offer struct {
		stream  string
		entries int64
	}
	tests := []struct {
		name     string
		most     int
		labelled string
		offers   []offer
		kept     []string
		other    int64
	}{
		{"the longest, in any order", 2, "", []offer{{"a", 1}, {"b", 5}, {"c", 3}, {"d", 4}}, []string{"b", "d"}, 4},
		{"all, where there is room", 9, "", []offer{{"a", 1}, {"b", 0}}, []string{"a", "b"}, 0},
		{"none, where labels are not wanted", 0, "", []offer{{"a", 1}, {"b", 5}}, nil, 6},
		{"of equals those that have a label", 1, "c", []offer{{"a", 5}, {"b", 5}, {"c", 5}, {"d", 5}}, []string{"c"}, 15},
		{"also of those that are a little longer", 1, "c", []offer{{"a", 100}, {"c", 95}}, []string{"c"}, 100},
		{"but a longer one takes the label", 1, "c", []offer{{"a", 6}, {"c", 5}}, []string{"a"}, 5},
		{"of other equals the first by name", 1, "", []offer{{"b", 5}, {"a", 5}, {"c", 5}}, []string{"a"}, 10},
		{"a name that comes twice once", 2, "", []offer{{"a", 5}, {"a", 6}, {"b", 1}}, []string{"a", "b"}, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			longest := newTop(tt.most, func(stream string) bool { return stream == tt.labelled }, newSizes())
			for _, o := range tt.offers {
				longest.offer(length{stream: o.stream, entries: o.entries})
			}
			var kept []string
			for _, l := range longest.kept {
				kept = append(kept, l.stream)
			}
			slices.Sort(kept)
			if !slices.Equal(kept, tt.kept) || longest.otherEntries != tt.other {
				t.Errorf("kept %v and %d other entries, want %v and %d", kept, longest.otherEntries, tt.kept, tt.other)
			}
		})
	}
}
