package cleanup

import (
	"context"
	"errors"

	"github.com/streamkeeper/streamkeeper/buffer"
	"github.com/streamkeeper/streamkeeper/burst"
)

// Bounds of the look for how messages are framed.
const (
	// samples is how many messages of a stream are tried, the newest first.
	samples = 3
	// otherStreams is how many are asked on behalf of one that is empty.
	otherStreams = 16
	// sampleBytes is the length past which a message is not read for it.
	sampleBytes = 1 << 20
)

// encodings finds out how messages are framed; usual is how they are in most
// streams, nil until it is asked for.
type encodings struct {
	checker burst.Checker
	usual   *burst.Encoding
}

// encodingFor is how a message must be framed for the readers of a session's
// stream: as its newest messages are. [burst.Auto] if nobody knows.
func (r *run) encodingFor(ctx context.Context, q quietVerdict) (burst.Encoding, error) {
	if r.o().Encoding != burst.Auto {
		return r.o().Encoding, nil
	}
	enc, err := r.encodingOf(ctx, q.session.Stream, q.marked)
	if enc != burst.Auto || err != nil {
		return enc, err
	}
	if r.encodings.usual == nil {
		if enc, err = r.usualEncoding(ctx); err != nil {
			return enc, err
		}
		r.encodings.usual = &enc
	}
	return *r.encodings.usual, nil
}

// encodingOf is how the newest messages of a stream are framed. One that holds
// just the given Session JSON is our own.
func (r *run) encodingOf(ctx context.Context, stream, ours string) (burst.Encoding, error) {
	var before buffer.ID
	for range samples {
		peeked, err := r.peek(ctx, buffer.PeekRequest{Stream: stream, Before: before, Last: true})
		if err != nil || !peeked.Found {
			return burst.Auto, err
		}
		data := dataOf(peeked)
		if enc := burst.PackedSessionJSON(data, []byte(ours)); enc != burst.Auto {
			return enc, nil
		}
		if enc := r.encodings.checker.Check(data, burst.Auto).Encoding; enc != burst.Auto {
			return enc, nil
		}
		before = peeked.ID
	}
	return burst.Auto, nil
}

// errEnough ends a walk that has seen enough.
var errEnough = errors.New("enough")

// usualEncoding is how messages are framed in other streams, for a stream that
// has none to go by; [burst.Auto] unless they agree.
func (r *run) usualEncoding(ctx context.Context) (burst.Encoding, error) {
	usual := burst.Auto
	asked := 0
	err := r.store.WalkStreams(ctx, func(names []string) error {
		for _, name := range names {
			if asked++; asked > otherStreams {
				return errEnough
			}
			enc, err := r.encodingOf(ctx, name, "")
			switch {
			case err != nil:
				return err
			case usual == burst.Auto:
				usual = enc
			case enc != burst.Auto && enc != usual:
				usual = burst.Auto
				return errEnough
			}
		}
		return nil
	})
	if errors.Is(err, errEnough) {
		err = nil
	}
	return usual, err
}

// peek reads one message; none if the stream cannot be read.
func (r *run) peek(ctx context.Context, p buffer.PeekRequest) (buffer.PeekResult, error) {
	p.MaxBytes = sampleBytes
	peeked, err := r.store.Peeks(ctx, []buffer.PeekRequest{p})
	if err != nil {
		return buffer.PeekResult{}, err
	}
	return peeked[0], nil
}

// dataOf is the payload of a message, nil if there is none or it was too long.
func dataOf(p buffer.PeekResult) []byte {
	for i := 0; i+1 < len(p.Fields); i += 2 {
		if p.Fields[i] == "data" {
			return []byte(p.Fields[i+1])
		}
	}
	return nil
}
