package redisconn

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/redis/go-redis/v9"
	"golang.org/x/sync/errgroup"

	"github.com/streamkeeper/streamkeeper/internal/rescue"
)

// Bounds of a scan of the keyspace.
const (
	// keyPage is how many keys are asked for at once.
	keyPage = 300
	// nodesAtOnce is how many masters are scanned side by side. Each sees one
	// page at a time, so none is busier than a single server would be.
	nodesAtOnce = 8
	// maxRounds is how often the scan goes after slots that moved meanwhile.
	maxRounds = 4
)

// WalkKeyspace visits all keys of a type, or of any if that is empty, with one of
// the prefixes, a page at a time, on every master, in one scan; read makes of the
// keys what is visited, on several masters at once, and visit is called for one page
// at a time. The first prefix stands for all where a cluster is asked for its slots.
//
// In a cluster a key may be on its way to another master, and then be missed on
// both: on one because it has gone, on the other because the scan was past its
// place. So the slots that were on the move are scanned again; see settling.
func WalkKeyspace[T any](ctx context.Context, c *Conn, prefixes []string, kind string,
	read func(ctx context.Context, keys []string) ([]T, error), visit func([]T) error,
) error {
	w := keyspaceWalk[T]{match: EscapeGlob(commonPrefix(prefixes)) + "*", prefixes: prefixes, kind: kind, read: read, visit: visit}
	cluster, ok := c.rdb.(*redis.ClusterClient)
	if !ok {
		return w.node(ctx, c.Single())
	}
	slots, err := c.slots(ctx, cluster, prefixes[0], nil)
	if err != nil {
		return err
	}
	moving := newSettling(slots)
	for rounds := 1; rounds <= maxRounds; rounds++ {
		if err := w.round(ctx, c); err != nil {
			return err
		}
		if slots, err = c.slots(ctx, cluster, prefixes[0], w.only); err != nil {
			return err
		}
		if w.only = moving.left(slots, rounds); len(w.only) == 0 {
			return nil
		}
	}
	return ErrResharding
}

type keyspaceWalk[T any] struct {
	match, kind string
	prefixes    []string
	read        func(ctx context.Context, keys []string) ([]T, error)
	// only are the slots that are of interest; nil for all.
	only map[int]bool

	mu    sync.Mutex
	visit func([]T) error
}

// round scans all masters once.
func (w *keyspaceWalk[T]) round(ctx context.Context, c *Conn) error {
	nodes, ctx := errgroup.WithContext(ctx)
	nodes.SetLimit(nodesAtOnce)
	err := c.Masters(ctx, func(_ context.Context, node *redis.Client) error {
		nodes.Go(func() error {
			return rescue.Call(func() error { return w.node(ctx, node) })
		})
		return ctx.Err()
	})
	if failed := nodes.Wait(); failed != nil {
		return failed
	}
	return err
}

// node scans one master.
func (w *keyspaceWalk[T]) node(ctx context.Context, node *redis.Client) error {
	fetch := func(ctx context.Context, cursor uint64) ([]T, uint64, error) {
		scan := node.Scan(ctx, cursor, w.match, keyPage)
		if w.kind != "" {
			scan = node.ScanType(ctx, cursor, w.match, keyPage, w.kind)
		}
		keys, next, err := scan.Result()
		if err != nil {
			return nil, 0, fmt.Errorf("looking for keys %q: %w", w.match, err)
		}
		if keys = w.pick(keys); len(keys) == 0 {
			return nil, next, nil
		}
		page, err := w.read(ctx, keys)
		return page, next, err
	}
	return WalkPages(ctx, fetch, func(page []T) error {
		if len(page) == 0 {
			return nil
		}
		w.mu.Lock()
		defer w.mu.Unlock()
		return w.visit(page)
	})
}

// pick leaves those of interest: what all prefixes begin with, others may have too.
func (w *keyspaceWalk[T]) pick(keys []string) []string {
	return slices.DeleteFunc(keys, func(key string) bool {
		return w.only != nil && !w.only[slotOf(key)] ||
			!slices.ContainsFunc(w.prefixes, func(prefix string) bool { return strings.HasPrefix(key, prefix) })
	})
}

// commonPrefix is what all of them begin with.
func commonPrefix(all []string) string {
	common := all[0]
	for _, text := range all {
		for !strings.HasPrefix(text, common) {
			common = common[:len(common)-1]
		}
	}
	return common
}

// EscapeGlob quotes the glob characters of a prefix for SCAN MATCH.
func EscapeGlob(prefix string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`, `]`, `\]`).Replace(prefix)
}
