package demo

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/streamkeeper/streamkeeper/buffer"
)

// sessionTTL is how long a session of the keys layout outlives its last update;
// the other layouts have nothing of the kind.
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
func register(ctx context.Context, pipe redis.Pipeliner, names buffer.Names, layout buffer.Layout, identity string, e entry) error {
	pairs := e.pairs()
	switch layout {
	case buffer.LayoutKeys:
		key := names.SessionPrefix() + identity
		pipe.HMSet(ctx, key, pairs...)
		pipe.Expire(ctx, key, sessionTTL)
	case buffer.LayoutFields:
		for i := 0; i < len(pairs); i += 2 {
			pairs[i] = fmt.Sprintf("%s:%s", identity, pairs[i])
		}
		pipe.HMSet(ctx, names.Sessions, pairs...)
	case buffer.LayoutObject:
		object := make(map[string]any, len(pairs)/2)
		for i := 0; i < len(pairs); i += 2 {
			object[fmt.Sprint(pairs[i])] = pairs[i+1]
		}
		value, err := json.Marshal(object)
		if err != nil {
			return fmt.Errorf("writing the session %q as JSON: %w", identity, err)
		}
		pipe.HMSet(ctx, names.Sessions, identity, value)
	default:
		return fmt.Errorf("registering the session %q: no layout %q", identity, layout)
	}
	return nil
}
