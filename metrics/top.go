package metrics

import (
	"cmp"
	"container/heap"
	"slices"
	"strings"

	"github.com/streamkeeper/streamkeeper/trim"
)

// length is a stream and how many entries it has.
type length struct {
	stream  string
	entries int64
	// bytes is about what they take in memory, 0 if that is not known.
	bytes int64
	// labelled streams come before others that take up to a tenth more, so that
	// labels do not wander among streams that are all at their limit.
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

// weight is what a stream counts: its memory, or its length before any is known.
func (l length) weight() float64 {
	weight := float64(l.bytes)
	if l.bytes == 0 {
		weight = float64(l.entries)
	}
	if l.labelled {
		weight *= 1.1
	}
	return weight
}

// before orders streams: the larger one first.
func (l length) before(other length) bool {
	if by := cmp.Compare(other.weight(), l.weight()); by != 0 {
		return by < 0
	}
	if l.labelled != other.labelled {
		return l.labelled
	}
	return l.stream < other.stream
}

// top keeps the largest of the streams that it is offered, and sums the rest.
type top struct {
	most     int
	labelled func(stream string) bool
	sizes    *sizes
	kept     lengths
	keptBy   map[string]bool

	streams, otherEntries, otherBytes int64
	otherProtected                    protected
	// others are those that are not kept, as many as are listed.
	others []length

	// due are streams without a label that are to be measured; more: there are
	// others.
	due  []string
	more bool
}

func newTop(most int, labelled func(stream string) bool, sizes *sizes) *top {
	return &top{most: most, labelled: labelled, sizes: sizes, keptBy: make(map[string]bool)}
}

// offer takes a stream in. One that is kept already, because a scan may return a
// name twice, is not counted again.
func (t *top) offer(l length) {
	if t.keptBy[l.stream] {
		return
	}
	t.streams++
	l.labelled, l.bytes = t.labelled(l.stream), t.sizes.of(l.stream, l.entries)
	t.noteDue(l)
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
	if len(t.others) < maxListed {
		t.others = append(t.others, length{stream: l.stream, entries: l.entries, bytes: l.bytes})
	}
	t.otherEntries += l.entries
	t.otherBytes += l.bytes
	for i, entries := range l.protected {
		t.otherProtected[i] += entries
	}
}

// maxListed is how many streams without a label are listed by name: some MiB.
const maxListed = 10_000

// listed are the streams without a label, the largest first. A scan may return a
// name twice.
func (t *top) listed() []OtherStream {
	slices.SortFunc(t.others, func(a, b length) int { return strings.Compare(a.stream, b.stream) })
	t.others = slices.CompactFunc(t.others, func(a, b length) bool { return a.stream == b.stream })
	all := make([]OtherStream, 0, len(t.others))
	for _, l := range t.others {
		if !t.keptBy[l.stream] {
			all = append(all, OtherStream{Label(l.stream), l.entries, l.bytes})
		}
	}
	slices.SortStableFunc(all, func(a, b OtherStream) int {
		return cmp.Or(cmp.Compare(b.Bytes, a.Bytes), cmp.Compare(b.Entries, a.Entries))
	})
	return all
}

// noteDue notes whether a stream is to be measured.
func (t *top) noteDue(l length) {
	switch {
	case l.labelled || l.entries == 0 || !t.sizes.due(l.stream):
	case len(t.due) < sampledAReading:
		t.due = append(t.due, l.stream)
	default:
		t.more = true
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
