package buffer

import (
	"context"
	"fmt"
	"time"

	"github.com/streamkeeper/streamkeeper/internal/redisconn"
)

// Group is a consumer group as Redis knows it.
type Group struct {
	Name      string
	Consumers int64
	// Pending is how many entries were given to consumers and not acknowledged.
	Pending int64
	// Delivered is the id of the last entry that was given to one.
	Delivered ID
	// Behind is how many entries were not; negative where Redis does not say.
	Behind int64
	// Active is how long ago a consumer of it was, negative if it has none. Before
	// Redis 7.2 it is when one last got something.
	Active time.Duration
}

// Memory is about what it takes in Redis, in bytes, beside the entries.
func (g *Group) Memory() int64 { return GroupCounts{1, g.Consumers, g.Pending}.Memory() }

// groupInfoScript reads what Redis says of the consumer groups of a stream.
//
// KEYS[1] stream
// returns for each {name, consumers, pending, last id, lag or -1, ms since a
// consumer was active or -1}
var groupInfoScript = redisconn.NewScript(`
local key = KEYS[1]
` + groupsLua + `
local groups = {}
for i, g in ipairs(redis.call('XINFO', 'GROUPS', key)) do
  local group = fields(g)
  groups[i] = {group.name, group.consumers, group.pending, group['last-delivered-id'], group.lag or -1, (idleTime(group))}
end
return groups
`)

// GroupInfos asks for the consumer groups of a stream.
func (b *Buffer) GroupInfos(ctx context.Context, stream string) ([]Group, error) {
	replies, err := b.conn.EvalRead(ctx, groupInfoScript, []redisconn.Call{redisconn.OnKey(b.names.StreamKey(stream))})[0].Slice()
	if err != nil {
		return nil, fmt.Errorf("reading the consumer groups of stream %s: %w", Quote(stream), err)
	}
	groups := make([]Group, 0, len(replies))
	for _, reply := range replies {
		values, ok := reply.([]any)
		if !ok || len(values) != 6 {
			return nil, fmt.Errorf("%w: a consumer group of stream %s is %T", redisconn.ErrIncomplete, Quote(stream), reply)
		}
		var g Group
		g.Name, _ = values[0].(string)
		g.Consumers, _ = values[1].(int64)
		g.Pending, _ = values[2].(int64)
		if id, _ := values[3].(string); id != "" {
			if g.Delivered, err = ParseID(id); err != nil {
				return nil, err
			}
		}
		g.Behind, _ = values[4].(int64)
		ago, _ := values[5].(int64)
		g.Active = time.Duration(ago) * time.Millisecond
		groups = append(groups, g)
	}
	return groups, nil
}
