package metrics

import (
	"cmp"
	"container/heap"
	"slices"

	"github.com/streamkeeper/streamkeeper/trim"
)

// length is a stream and how many entries it has.
type length struct {
	stream  string
	entries int64
	// labelled streams come before others that are as long, so that labels do
	// not wander among streams that are all at their limit.
	labelled bool
	// protected are the entries over a limit that stay, by [trim.Protectors].
	protected protected
}

// protected are numbers of entries, by [trim.Protectors].
type protected [len(trim.Protectors)]int64

// add adds what protects entries.
func (p *protected) add(all []trim.Protection) {
	for _, protection := range all {
		if i := slices.Index(trim.Protectors[:], protection.By); i >= 0 {
			p[i] += protection.Entries
		}
	}
}

// before orders streams: the longer one first.
func (l length) before(other length) bool {
	if by := cmp.Compare(other.entries, l.entries); by != 0 {
		return by < 0
	}
	if l.labelled != other.labelled {
		return l.labelled
	}
	return l.stream < other.stream
}

// top keeps the longest of the streams that it is offered, and sums the rest.
type top struct {
	most     int
	labelled func(stream string) bool
	kept     lengths
	keptBy   map[string]bool

	streams, otherEntries int64
	otherProtected        protected
}

func newTop(most int, labelled func(stream string) bool) *top {
	return &top{most: most, labelled: labelled, keptBy: make(map[string]bool)}
}

// offer takes a stream in. One that is kept already, because a scan may return a
// name twice, is not counted again.
func (t *top) offer(l length) {
	if t.keptBy[l.stream] {
		return
	}
	t.streams++
	l.labelled = t.labelled(l.stream)
	if len(t.kept) < t.most {
		heap.Push(&t.kept, l)
		t.keptBy[l.stream] = true
		return
	}
	if t.most > 0 && l.before(t.kept[0]) {
		t.keptBy[l.stream] = true
		l, t.kept[0] = t.kept[0], l
		heap.Fix(&t.kept, 0)
		delete(t.keptBy, l.stream)
	}
	t.otherEntries += l.entries
	for i, entries := range l.protected {
		t.otherProtected[i] += entries
	}
}

// lengths is a heap with the last stream, in the order of before, on top.
type lengths []length

func (h lengths) Len() int           { return len(h) }
func (h lengths) Less(i, j int) bool { return h[j].before(h[i]) }
func (h lengths) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }

// Push implements [heap.Interface].
func (h *lengths) Push(x any) {
	l, _ := x.(length)
	*h = append(*h, l)
}

// Pop implements [heap.Interface].
func (h *lengths) Pop() any {
	last := (*h)[len(*h)-1]
	*h = (*h)[:len(*h)-1]
	return last
}
