package metrics

import (
	"reflect"
	"testing"

	"github.com/streamkeeper/streamkeeper/trim"
)

func TestAStreamRemembersItsLastReadings(t *testing.T) {
	m := newMetrics(1)
	m.Leader(true)
	read := func(name string, entries int64) {
		m.streams.show(reading{streams: 1, chosen: []chosen{{name: name, figures: figures{entries: entries}}}})
	}
	m.TrimRemoved("a", trim.ByLength, 1000) // before it has a label
	want := History{}
	for i := range int64(HistoryLength + 5) {
		read("a", 100+i)
		m.TrimRemoved("a", trim.ByLength, i)
		m.TrimRemoved("a", trim.ByAge, 1)
		if i >= 5 {
			want.Entries, want.Removed = append(want.Entries, 100+i), append(want.Removed, i) // i-1 and 1
		}
	}
	if got := m.Snapshot().Chosen[0].History; !reflect.DeepEqual(got, want) {
		t.Errorf("the history is\n%v, want\n%v", got, want)
	}
	read("b", 7)
	read("a", 5)
	if got := m.Snapshot().Chosen[0].History; !reflect.DeepEqual(got, History{Entries: []int64{5}, Removed: []int64{0}}) {
		t.Errorf("after it lost its label the history is %v", got)
	}
}
