package demo

import (
	"context"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/streamkeeper/streamkeeper/buffer"
	"github.com/streamkeeper/streamkeeper/buffer/registry"
)

// sessionTTL is how long a session with a key of its own outlives its last
// update; entries of a shared Hash have nothing of the kind.
const sessionTTL = 10 * time.Minute

// entry is a session in the registry.
type entry struct {
	id               int64
	stream, position string
	updated          any // int64 in ms, or what somebody took for a time
	json             string
	start, end       int64 // ns
}

// pairs are the properties and their values in turn, as the RTA documentation
// names them.
func (e entry) pairs() []any {
	return []any{
		"streamSessionId", e.id,
		"streamName", e.stream,
		"streamPosition", e.position,
		"lastUpdated", e.updated,
		"json", e.json,
		"tStart", e.start,
		"tEnd", e.end,
	}
}

// register writes a session's entry as producers of its layout do.
func register(ctx context.Context, pipe redis.Pipeliner, names buffer.Names, layout registry.Layout, identity string, e entry) error {
	if err := registry.Produce(ctx, pipe, layout, names.Sessions, identity, e.pairs()...); err != nil {
		return err
	}
	if layout.HasOwnKey() {
		pipe.Expire(ctx, layout.KeyOf(names.Sessions, identity), sessionTTL)
	}
	return nil
}
