package sweep

import (
	"context"
	"log/slog"

	"github.com/streamkeeper/streamkeeper/buffer"
	"github.com/streamkeeper/streamkeeper/trim"
)

// Entries that go inside a macro node free nothing until the node is empty. So they are
// not said to free anything; what the stream takes before and after tells whether its
// node went in the end.

// finishOrGoExact goes over to single entries if the policy wants it, or if the macro
// node is too large; else the step is done. Where memory counts it does not go over:
// it would free nothing.
func (w *worker) finishOrGoExact(b *backlog, tooLarge bool) (done bool) {
	s := &b.steps[0]
	if s.exact || s.by == trim.ByBytes || !b.stream.policy.Exact && (!tooLarge || s.by == trim.ByPressure) {
		return true
	}
	s.toExact(&b.stream)
	logLargeNode(w.log, &b.stream)
	return false
}

// measureNodes measures the streams whose next call goes into a macro node.
func (w *worker) measureNodes(ctx context.Context, group []backlog) error {
	for i := range group {
		b := &group[i]
		if s := &b.steps[0]; s.inNode && !s.measured {
			used, err := w.memoryOf(ctx, b.stream.name)
			if err != nil {
				return err
			}
			s.used, s.measured = used, true
		}
	}
	return nil
}

// memoryOf is what Redis counts for a stream, 0 if it cannot count it quickly.
func (w *worker) memoryOf(ctx context.Context, stream string) (int64, error) {
	memories, err := w.store.EntryMemories(ctx, []string{stream})
	if err != nil {
		return 0, err
	}
	return memories[0].Total, nil
}

// tellEmptied says what a step has freed that went into a macro node.
func (w *worker) tellEmptied(ctx context.Context, b *backlog, n *news) error {
	s, c := &b.steps[0], &b.stream
	if s.used == 0 || c.inNode == 0 {
		return nil
	}
	used, err := w.memoryOf(ctx, c.name)
	// A stream without an entry takes next to nothing; one that Redis cannot count is
	// not known.
	if freed := s.used - used; err == nil && (used > 0 || c.length() == 0) && freed >= c.entrySize() {
		c.freed, c.inNode = c.freed+freed, max(0, c.inNode-freed/c.entrySize())
		n.outcomes = append(n.outcomes, outcome{stream: c.name, by: s.by, freed: freed})
	}
	return err
}

// inNodes counts what went inside macro nodes in a run.
type inNodes struct {
	streams, entries int64
	example          string
}

func (n *inNodes) add(c *stream) {
	if c.inNode > 0 {
		n.streams, n.entries, n.example = n.streams+1, n.entries+c.inNode, c.name
	}
}

// log says that memory is not freed yet, once a run.
func (n *inNodes) log(log *slog.Logger) {
	if n.streams > 0 {
		log.Info("entries inside macro nodes", "streams", n.streams, "entries", n.entries, "example", buffer.Escape(n.example),
			"memory", "freed once a node is empty")
	}
}
