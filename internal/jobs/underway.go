package jobs

import (
	"context"

	"github.com/streamkeeper/streamkeeper/buffer"
	"github.com/streamkeeper/streamkeeper/buffer/registry"
	"github.com/streamkeeper/streamkeeper/history"
)

// This file has the history note that a run removes something, before it does.

// trimStore is the stream buffer as trimming sees it.
type trimStore struct {
	*buffer.Buffer
	sums *history.Trims
}

func (s trimStore) Trims(ctx context.Context, calls []buffer.TrimRequest) ([]buffer.TrimResult, error) {
	s.sums.Begin(ctx)
	return s.Buffer.Trims(ctx, calls)
}

// cleanupStore is the stream buffer as clean-up sees it.
type cleanupStore struct {
	*buffer.Buffer
	history *history.Recorder
}

func (s cleanupStore) Expire(ctx context.Context, sessions []registry.Session, how registry.Expiring) ([]registry.Expiry, error) {
	s.history.Begin(ctx)
	return s.Buffer.Expire(ctx, sessions, how)
}

func (s cleanupStore) Retire(ctx context.Context, stream string, lastID buffer.ID, groups buffer.GroupLimits) (buffer.Retirement, error) {
	s.history.Begin(ctx)
	return s.Buffer.Retire(ctx, stream, lastID, groups)
}

func (s cleanupStore) DropName(ctx context.Context, stream string) (buffer.Retirement, error) {
	s.history.Begin(ctx)
	return s.Buffer.DropName(ctx, stream)
}
