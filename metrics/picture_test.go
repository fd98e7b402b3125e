package metrics

import (
	"fmt"
	"reflect"
	"testing"
	"time"

	"github.com/streamkeeper/streamkeeper/trim"
)

// shownAt makes the metrics show a reading of streams with so many entries.
func shownAt(m *Metrics, at time.Time, entries, bytes int64, names ...string) {
	r := reading{at: at, streams: int64(len(names))}
	for _, name := range names {
		r.chosen = append(r.chosen, chosen{name: name, figures: figures{entries: entries, bytes: bytes}})
	}
	m.streams.show(r)
}

func pictureOf(t *testing.T, m *Metrics, name string) []Point {
	t.Helper()
	_, points, ok := m.Figures(name)
	if !ok {
		t.Fatalf("%s has no figures", name)
	}
	return points
}

func TestAPictureHasAPointAMinuteForSixHours(t *testing.T) {
	m := newMetrics(2)
	m.Leader(true)
	start := testNow.Truncate(time.Minute)
	m.TrimRemoved("a", trim.ByLength, 1000) // before it has a label
	shownAt(m, start, 10, 100, "a")
	m.TrimRemoved("a", trim.ByLength, 5)
	shownAt(m, start.Add(20*time.Second), 20, 200, "a")
	m.TrimRemoved("a", trim.ByAge, 7)
	shownAt(m, start.Add(50*time.Second), 30, 300, "a")
	m.TrimRemoved("a", trim.ByLength, 1)
	shownAt(m, start.Add(3*time.Minute), 40, 1<<33, "a")
	want := []Point{{start, 30, 300, 12}, {start.Add(3 * time.Minute), 40, 1 << 33, 1}}
	if got := pictureOf(t, m, "a"); !reflect.DeepEqual(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	for i := range 500 {
		shownAt(m, start.Add(time.Duration(4+i)*time.Minute), int64(i), 0, "a")
	}
	got := pictureOf(t, m, "a")
	if len(got) != picturePoints || got[len(got)-1].Entries != 499 || got[0].Entries != 500-int64(picturePoints) {
		t.Errorf("%d points from %+v", len(got), got[0])
	}
	// After a long time without a reading nothing is old.
	late := start.Add(24 * time.Hour)
	shownAt(m, late, 7, 0, "a")
	if got := pictureOf(t, m, "a"); len(got) != 1 || !got[0].Minute.Equal(late) {
		t.Errorf("%+v", got)
	}
	shownAt(m, late.Add(-time.Hour), 8, 0, "a") // the clock was set back
	if got := pictureOf(t, m, "a"); len(got) != 1 || got[0].Entries != 8 {
		t.Errorf("%+v", got)
	}
	if m.Leader(false); true {
		if _, _, ok := m.Figures("a"); ok {
			t.Error("a follower has figures")
		}
	}
}

func TestThePicturesAreBounded(t *testing.T) {
	m := newMetrics(3 * maxPictures)
	m.Leader(true)
	names := make([]string, 2*maxPictures)
	for i := range names {
		names[i] = fmt.Sprint(i)
	}
	for minute := range 3 {
		shownAt(m, testNow.Add(time.Duration(minute)*time.Minute), 1, 1, names...)
	}
	n := 0
	for _, name := range names {
		if points := pictureOf(t, m, name); len(points) > 0 {
			if n++; len(points) != 3 {
				t.Errorf("%s has %d points", name, len(points))
			}
		}
	}
	if n != maxPictures {
		t.Errorf("%d pictures", n)
	}
}

func TestOtherStreamsAreListedTheLargestFirst(t *testing.T) {
	m := newMetrics(1)
	m.Leader(true)
	l := m.NewLengths()
	for i := range maxListed + 10 {
		l.Add(fmt.Sprintf("s%05d", i), int64(i), nil)
	}
	for range 2 {
		l.Add("twice\xff", 3, nil)
	}
	others := l.top.listed()
	if len(others) != maxListed || others[0].Entries < others[1].Entries || others[len(others)-1].Entries != 0 {
		t.Errorf("%d others, from %+v", len(others), others[0])
	}
	l = m.NewLengths()
	for _, name := range []string{"large", "twice\xff", "twice\xff"} {
		l.Add(name, int64(len(name)), nil)
	}
	l.Add("larger than all others", 100, nil)
	if got := l.top.listed(); !reflect.DeepEqual(got, []OtherStream{{`twice\xff`, 6, 0}, {"large", 5, 0}}) {
		t.Errorf("%+v", got)
	}
}
