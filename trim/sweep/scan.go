package sweep

import (
	"context"
	"slices"

	"github.com/streamkeeper/streamkeeper/internal/rescue"
)

// pages are the names of all streams, page by page.
type pages struct {
	names  chan []string
	cancel context.CancelFunc
	// ended is closed at the end of the scan; failure is then what broke it off.
	ended   chan struct{}
	failure error
}

// scan fetches the names on a goroutine of its own, one page ahead.
func scan(ctx context.Context, store Store) *pages {
	ctx, cancel := context.WithCancel(ctx)
	p := &pages{names: make(chan []string), cancel: cancel, ended: make(chan struct{})}
	go func() {
		defer close(p.ended)
		defer close(p.names)
		p.failure = rescue.Call(func() error {
			return store.WalkStreams(ctx, func(page []string) error {
				select {
				case p.names <- slices.Clone(page):
					return nil
				case <-ctx.Done():
					return ctx.Err()
				}
			})
		})
	}()
	return p
}

// err is what broke the scan off, once there are no more names.
func (p *pages) err() error {
	<-p.ended
	return p.failure
}

// stop ends the scan and waits for its end.
func (p *pages) stop() {
	p.cancel()
	<-p.ended
}
