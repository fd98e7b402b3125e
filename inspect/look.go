package inspect

import (
	"context"
	"slices"

	"github.com/streamkeeper/streamkeeper/buffer"
)

// Bounds of what is asked at once. The server works about 1.4 ms a megabyte on
// the messages that it looks at, and serves nobody else meanwhile.
const (
	pipelineBytes = 512 << 10
	pipelineCalls = 16
	// maxMisfits is after how many messages that do not fit into what is left
	// of the budget a run ends. Each alone may be a giant.
	maxMisfits = 16
)

// scout looks into one stream.
type scout struct {
	target
	*spread
	messages []Message
	flow     float64 // messages a second while the stream flows, 0 if not known
	cut      bool    // by the budget
	failed   bool
}

// look looks into streams, a few at a time, until the budget is used up.
func (r *run) look(ctx context.Context, targets []target) error {
	for len(targets) > 0 {
		if r.left <= 0 || r.misfits >= maxMisfits {
			r.report.StreamsLeft += int64(len(targets))
			return nil
		}
		n := min(len(targets), pipelineCalls, int(max(1, pipelineBytes/(2*r.largest))))
		if err := r.lookInto(ctx, targets[:n]); err != nil {
			return err
		}
		targets = targets[n:]
		r.o.OnProgress(Progress{Streams: r.report.Streams, Messages: r.report.Messages})
	}
	return nil
}

// lookInto looks into streams together, one message of each at a time.
func (r *run) lookInto(ctx context.Context, targets []target) error {
	scouts := make([]*scout, len(targets))
	for i, t := range targets {
		scouts[i] = &scout{target: t, spread: newSpread(r.o.Samples, r.memory.of(t.name), r.random)}
	}
	for busy := scouts; len(busy) > 0; {
		var err error
		if busy, err = r.step(ctx, busy); err != nil {
			return err
		}
	}
	for _, s := range scouts {
		if s.failed {
			continue
		}
		r.report.Streams++
		if s.cut {
			r.report.StreamsLeft++
		}
		if r.o.Summaries {
			var err error
			if s.flow, err = r.store.FlowRate(ctx, s.name); err != nil {
				return err
			}
		}
		r.deliver(s)
	}
	return nil
}

// step reads the next message of each stream, and returns the scouts that are
// not done.
func (r *run) step(ctx context.Context, scouts []*scout) (busy []*scout, err error) {
	var peeks []buffer.PeekRequest
	for _, s := range scouts {
		from, before, last, ok := s.next()
		if ok {
			busy = append(busy, s)
			peeks = append(peeks, buffer.PeekRequest{Stream: s.name, From: from, Before: before, Last: last})
		}
	}
	if len(peeks) == 0 {
		return nil, nil
	}
	room := min(pipelineBytes, r.left) / int64(len(peeks))
	for i := range peeks {
		peeks[i].MaxBytes = room
	}
	found, err := r.store.Peeks(ctx, peeks)
	if err != nil {
		return nil, err
	}
	largest := int64(0)
	for _, p := range found {
		largest = max(largest, p.Bytes)
		if p.Fields != nil {
			r.left -= p.Bytes
		}
	}
	for i, s := range busy {
		if err := r.take(ctx, s, found[i]); err != nil {
			return nil, err
		}
	}
	r.largest = max(1, largest, r.largest/2)
	return slices.DeleteFunc(busy, func(s *scout) bool { return s.failed }), nil
}

// take judges what was found in a stream.
func (r *run) take(ctx context.Context, s *scout, p buffer.PeekResult) error {
	if p.Err != nil {
		s.failed = true
		r.failed(s.name, p.Err)
		return nil //nolint:nilerr // one stream's error is counted, and the run goes on
	}
	if !p.Found {
		s.empty()
		return nil
	}
	s.found(p.ID)
	m := Message{Stream: s.name, ID: p.ID}
	if p.Bytes > r.judge.longest() {
		r.judge.unread(&m, p.Bytes)
		s.messages = append(s.messages, m)
		return nil
	}
	if p.Fields == nil {
		var err error
		if p, err = r.fetch(ctx, s, p); err != nil || p.Fields == nil {
			return err
		}
		r.left -= p.Bytes
	}
	r.judge.fields(&m, p.Fields, r.encodings.get(s.name))
	r.encodings.put(s.name, m.Encoding)
	r.report.Bytes += m.CompressedBytes
	s.messages = append(s.messages, m)
	return nil
}

// fetch reads a message that was too long for its share of a pipeline, if it
// fits into the budget.
func (r *run) fetch(ctx context.Context, s *scout, p buffer.PeekResult) (buffer.PeekResult, error) {
	if p.Bytes > r.left {
		s.cut = true
		r.misfits++
		return p, nil
	}
	found, err := r.store.Peeks(ctx, []buffer.PeekRequest{{Stream: s.name, From: p.ID, Before: after(p.ID), MaxBytes: p.Bytes}})
	if err != nil {
		return p, err
	}
	if found[0].Err != nil {
		s.failed = true
		r.failed(s.name, found[0].Err)
	}
	return found[0], nil
}

// deliver hands out what was read of a stream, the oldest first.
func (r *run) deliver(s *scout) {
	if len(s.messages) > 0 || !s.cut { // what was not reached is due in the next run
		r.memory.keep(s.name, s.remember())
	}
	slices.SortFunc(s.messages, func(a, b Message) int { return a.ID.Compare(b.ID) })
	for _, m := range s.messages {
		r.report.count(m)
		r.o.OnMessage(m)
		r.visit(m)
	}
	r.summarize(s.target, s.messages, s.flow)
}
