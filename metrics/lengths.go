package metrics

import "github.com/streamkeeper/streamkeeper/trim"

// Lengths are what a trimming run learns of the streams, so that the next reading
// need not ask all of them again. They belong to one goroutine.
type Lengths struct {
	m   *Metrics
	top *top
}

// NewLengths begins to collect, at the start of a run.
func (m *Metrics) NewLengths() *Lengths {
	return &Lengths{m: m, top: newTop(m.streams.max, m.streams.labelled(), m.sizes)}
}

// Add takes in how many entries a stream has, and what protects those over a
// limit.
func (l *Lengths) Add(stream string, entries int64, protections []trim.Protection) {
	added := length{stream: stream, entries: entries}
	added.protected.add(protections)
	l.top.offer(added)
}

// Use hands the lengths to the next reading, at the end of a run that came to all
// streams. A follower does not use them.
func (l *Lengths) Use() {
	l.m.whileLeading(func() { l.m.streams.learn(l.top) })
}

// learn keeps what a trimming run learnt.
func (t *streamTable) learn(learnt *top) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.learnt = learnt
}

// takeLearnt is what was learnt since the last reading, nil if nothing was.
func (t *streamTable) takeLearnt() *top {
	t.mu.Lock()
	defer t.mu.Unlock()
	learnt := t.learnt
	t.learnt = nil
	return learnt
}
