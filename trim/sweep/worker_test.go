package sweep

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/streamkeeper/streamkeeper/buffer"
	"github.com/streamkeeper/streamkeeper/trim"
)

// twoNodes says that streams lie on the node that their names begin with, and
// answers no call before both nodes have one to answer.
type twoNodes struct {
	*watched
	mu      sync.Mutex
	busy    map[string]bool
	both    chan struct{}
	crossed []string
}

func (n *twoNodes) NodeOf(_ context.Context, stream string) (string, error) {
	node, _, _ := strings.Cut(stream, "-")
	return node, nil
}

func (n *twoNodes) Trims(ctx context.Context, calls []buffer.TrimRequest) ([]buffer.TrimResult, error) {
	node, _ := n.NodeOf(ctx, calls[0].Stream)
	n.mu.Lock()
	if n.busy[node] {
		n.crossed = append(n.crossed, node)
	}
	n.busy[node] = true
	if len(n.busy) == 2 && n.both != nil {
		close(n.both)
		n.both = nil
	}
	both := n.both
	n.mu.Unlock()
	if both != nil {
		select {
		case <-both:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	defer func() {
		n.mu.Lock()
		defer n.mu.Unlock()
		n.busy[node] = false
	}()
	return n.watched.Trims(ctx, calls)
}

func TestTheNodesOfAClusterAreDrainedSideBySide(t *testing.T) {
	w := realFixture(t)
	for _, name := range []string{"a-1", "a-2", "b-1"} {
		w.fill(name, 4096, times(time.Now().Add(-time.Hour), 2000)...)
	}
	nodes := &twoNodes{watched: w.store, busy: map[string]bool{}, both: make(chan struct{})}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	report, err := New(nodes, Options{Policies: trim.Policies{Default: trim.Policy{MaxLength: 100}}}).Run(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if report.EntriesRemoved != 3*1900 {
		t.Errorf("removed %d entries, want %d", report.EntriesRemoved, 3*1900)
	}
	if len(nodes.crossed) > 0 {
		t.Errorf("two calls at once on the nodes %q", nodes.crossed)
	}
}
