package redisconn

import (
	"context"

	"github.com/streamkeeper/streamkeeper/internal/rescue"
)

// pagesAhead is how many pages wait for their visitor, so that it seldom waits for one
// that comes after much other work of the server.
const pagesAhead = 2

// WalkPages visits pages in turn and fetches the next ones meanwhile.
func WalkPages[T any](ctx context.Context,
	fetch func(ctx context.Context, cursor uint64) (page T, next uint64, err error),
	visit func(page T) error,
) error {
	type fetched struct {
		page T
		next uint64
		err  error
	}
	ctx, cancel := context.WithCancel(ctx)
	pages := make(chan fetched, pagesAhead)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for cursor := uint64(0); ; {
			var f fetched
			f.err = rescue.Call(func() (err error) {
				f.page, f.next, err = fetch(ctx, cursor)
				return err
			})
			select {
			case pages <- f:
			case <-ctx.Done():
				return
			}
			if f.err != nil || f.next == 0 {
				return
			}
			cursor = f.next
		}
	}()
	defer func() {
		cancel()
		<-done
	}()
	for {
		select {
		case f := <-pages:
			if f.err != nil {
				return f.err
			}
			if err := visit(f.page); err != nil {
				return err
			}
			if f.next == 0 {
				return nil
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
