package buffer

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/streamkeeper/streamkeeper/internal/human"
	"github.com/streamkeeper/streamkeeper/internal/redisconn"
)

// Page sizes. A page costs the server a stall: so many names or lengths take it
// a tenth of a millisecond, and twice as many are felt by others while a scan
// goes on. Where a page is spread over the masters of a cluster, it has so many
// for each.
const (
	namePage    = 128
	lengthBatch = 160
	sizeBatch   = 32
	infoBatch   = 8
)

// callsPerPage is how many calls for names make a page of the visitor's: each page
// wakes somebody.
const callsPerPage = 2

// WalkStreams visits the names in the set of streams that are ours, a page at
// a time, in no order; a name may come twice if the set changes meanwhile.
// The page is the visitor's only during the call. An error, of Redis or of
// the visitor, means that the scan is not complete.
func (b *Buffer) WalkStreams(ctx context.Context, visit func(names []string) error) error {
	if b.named != nil {
		return b.walkNamed(ctx, visit)
	}
	count := int64(namePage * b.conn.Width(ctx))
	fetch := func(ctx context.Context, cursor uint64) (ours []string, next uint64, err error) {
		for range callsPerPage {
			var names []string
			names, cursor, err = b.rdb.SScan(ctx, b.names.Streams, cursor, "", count).Result()
			if err != nil {
				return nil, 0, fmt.Errorf("reading the stream names in %q: %w", b.names.Streams, err)
			}
			for _, name := range names {
				if b.Owns(name) {
					ours = append(ours, name)
				}
			}
			if cursor == 0 {
				break
			}
		}
		return ours, cursor, nil
	}
	return redisconn.WalkPages(ctx, fetch, func(names []string) error {
		if len(names) == 0 {
			return nil
		}
		return visit(names)
	})
}

// walkNamed visits those of the named streams that the set holds.
func (b *Buffer) walkNamed(ctx context.Context, visit func(names []string) error) error {
	for part := range slices.Chunk(b.named, namePage) {
		listed, err := b.Listed(ctx, part)
		if err != nil {
			return err
		}
		var there []string
		for i, name := range part {
			if listed[i] {
				there = append(there, name)
			}
		}
		if len(there) == 0 {
			continue
		}
		if err := visit(there); err != nil {
			return err
		}
	}
	return nil
}

// CountStreams is how many names the set of streams holds, ours and others'.
func (b *Buffer) CountStreams(ctx context.Context) (int64, error) {
	n, err := b.rdb.SCard(ctx, b.names.Streams).Result()
	if err != nil {
		return 0, fmt.Errorf("counting the stream names: %w", err)
	}
	return n, nil
}

// Listed reports, for each name, whether the set of streams holds it.
func (b *Buffer) Listed(ctx context.Context, names []string) ([]bool, error) {
	if len(names) == 0 {
		return nil, nil
	}
	members := make([]any, len(names))
	for i, name := range names {
		members[i] = name
	}
	listed, err := b.rdb.SMIsMember(ctx, b.names.Streams, members...).Result()
	if err != nil {
		return nil, fmt.Errorf("looking up stream names: %w", err)
	}
	return listed, nil
}

// Length is how many entries a stream has, or why that is not known.
type Length struct {
	Entries int64
	Err     error
}

// Lengths asks for the length of each stream, in pipelines; 0 where there is no
// key. The error is the first one that broke a pipeline.
func (b *Buffer) Lengths(ctx context.Context, names []string) ([]Length, error) {
	lengths := make([]Length, 0, len(names))
	for part := range slices.Chunk(names, lengthBatch*b.conn.Width(ctx)) {
		pipe := b.rdb.Pipeline()
		cmds := make([]*redis.IntCmd, len(part))
		for i, name := range part {
			cmds[i] = pipe.XLen(ctx, b.names.StreamKey(name))
		}
		if _, err := pipe.Exec(ctx); redisconn.IsLost(err) {
			return nil, fmt.Errorf("asking for the lengths of %s: %w", human.Plural(len(part), "stream"), err)
		}
		for _, cmd := range cmds {
			entries, err := cmd.Result()
			lengths = append(lengths, Length{entries, err})
		}
	}
	return lengths, nil
}

// StreamInfo is what there is to know of a stream without its payloads.
type StreamInfo struct {
	// Type is the key's type: "stream", "none" where there is no key, or
	// another, which makes the rest meaningless.
	Type string
	// Length in entries.
	Length int64
	// LastID is the last generated id: it stays when entries go. 0-0 means
	// that there never was one.
	LastID ID
	// First and Newest are the ids of the outermost entries, 0-0 if none.
	First, Newest ID
	// Nodes is the number of macro nodes, 0 if the server does not say.
	Nodes int64
	// Added is how many entries were ever added, negative if the server does not
	// say, as before Redis 7.0.
	Added int64
	// Deleted is the largest id that was deleted by itself (XDEL), 0-0 if none was
	// or the server does not say. Trimming does not move it.
	Deleted ID
	// ActiveAgo is how long ago a consumer of any group was active, in
	// whole milliseconds; negative if no group has a consumer.
	ActiveAgo time.Duration
	// PendingAgo is, before Redis 7.2, how long ago a group last got an entry
	// that was given everything and has not acknowledged all of it: its idle
	// time does not say whether it still asks. 0 if there is none.
	PendingAgo time.Duration
	// WithoutConsumers names the groups that have no consumer.
	WithoutConsumers []string
	// Groups are all consumer groups.
	Groups GroupCounts
	// Err is why the stream could not be asked.
	Err error
}

// Gone is how many entries have gone, by whomever; 0 if that is not known.
func (i StreamInfo) Gone() int64 { return max(0, i.Added-i.Length) }

// Exists reports whether there is a key and it is a stream.
func (i StreamInfo) Exists() bool { return i.Type == "stream" }

// ActiveWithin reports whether a consumer group was active within the limit.
func (i StreamInfo) ActiveWithin(limit time.Duration) bool {
	return i.ActiveAgo >= 0 && i.ActiveAgo <= limit || i.PendingAgo > 0 && i.PendingAgo <= graceFactor*limit
}

// activeLua finds how many milliseconds ago a consumer of any group of key was
// active, -1 if there is none; and, in pending, how long ago a group got its last
// entry that was given everything and has not acknowledged all, 0 if there is
// none or its idle time says more; and, in without, the groups that have no
// consumer; and, in counts, how many groups, consumers and pending
// entries there are. It comes after groupsLua.
const activeLua = `
local active, pending, without, counts = -1, 0, {}, {0, 0, 0}
for _, g in ipairs(redis.call('XINFO', 'GROUPS', key)) do
  local group = fields(g)
  counts = {counts[1] + 1, counts[2] + group.consumers, counts[3] + group.pending}
  local ago, knowsInactive = idleTime(group)
  if ago >= 0 then
    if active < 0 or ago < active then active = ago end
    if not knowsInactive and unreadFor(group) < 0 and firstPending(group) then
      if pending == 0 or ago < pending then pending = math.max(1, ago) end
    end
  else
    without[#without + 1] = group.name
  end
end
`

// infoScript keeps the payloads that XINFO STREAM returns on the server.
//
// KEYS[1] stream
// returns {type} unless it is a stream, else
// {"stream", length, last id, first id, newest id, nodes, ms since a group's consumer was active or -1,
// ms since a group got its last entry that has entries pending or 0, {groups without consumers},
// entries ever added or -1, largest id that was deleted, {groups, consumers, pending entries}}
var infoScript = redisconn.NewScript(`
local key = KEYS[1]
local kind = redis.call('TYPE', key)
kind = kind.ok or kind
if kind ~= 'stream' then return {kind} end
local length, last, first, newest, nodes, added, deleted = 0, '0-0', '0-0', '0-0', 0, -1, '0-0'
local info = redis.call('XINFO', 'STREAM', key)
local seen = false
for i = 1, #info, 2 do
  local k, v = info[i], info[i + 1]
  if k == 'length' then length = v
  elseif k == 'last-generated-id' then last = v
  elseif k == 'radix-tree-keys' then nodes = v
  elseif k == 'entries-added' then added = v
  elseif k == 'max-deleted-entry-id' and v ~= '' then deleted = v
  elseif k == 'first-entry' then seen = true; if type(v) == 'table' and v[1] then first = v[1] end
  elseif k == 'last-entry' then if type(v) == 'table' and v[1] then newest = v[1] end
  end
end
if not seen and length > 0 then
  first = redis.call('XRANGE', key, '-', '+', 'COUNT', 1)[1][1]
  newest = redis.call('XREVRANGE', key, '+', '-', 'COUNT', 1)[1][1]
end
if last == '' then last = '0-0' end
` + groupsLua + activeLua + `
return {'stream', length, last, first, newest, nodes, active, pending, without, added, deleted, counts}
`)

// Infos asks for each stream's state, in small pipelines: the server touches
// two payloads a stream for it. An error means that the rest was not asked.
func (b *Buffer) Infos(ctx context.Context, names []string) ([]StreamInfo, error) {
	infos := make([]StreamInfo, 0, len(names))
	for len(infos) < len(names) {
		part := names[len(infos):min(len(names), len(infos)+infoBatch)]
		calls := make([]redisconn.Call, len(part))
		for i, name := range part {
			calls[i] = redisconn.OnKey(b.names.StreamKey(name))
		}
		for i, cmd := range b.conn.EvalRead(ctx, infoScript, calls) {
			reply, err := cmd.Slice()
			if redisconn.IsLost(err) {
				return infos, fmt.Errorf("asking for the state of stream %s: %w", Quote(part[i]), err)
			}
			infos = append(infos, parseInfo(reply, err))
		}
	}
	return infos, nil
}

// only is the one value of a reply, nil if there are none or several.
func only(reply []any) any {
	if len(reply) != 1 {
		return nil
	}
	return reply[0]
}

func parseInfo(reply []any, err error) StreamInfo {
	if err != nil {
		return StreamInfo{Err: err}
	}
	// A reply that is too short is no sign that the stream is gone.
	if kind, ok := only(reply).(string); ok && kind != "stream" {
		return StreamInfo{Type: kind}
	}
	if len(reply) != 12 {
		return StreamInfo{Err: fmt.Errorf("%w: the state has %d values instead of 12", redisconn.ErrIncomplete, len(reply))}
	}
	info := StreamInfo{Type: "stream"}
	info.Length, _ = reply[1].(int64)
	for at, into := range map[int]*ID{2: &info.LastID, 3: &info.First, 4: &info.Newest, 10: &info.Deleted} {
		text, _ := reply[at].(string)
		if *into, err = ParseID(text); err != nil {
			return StreamInfo{Err: fmt.Errorf("reading XINFO STREAM: %w", err)}
		}
	}
	info.Nodes, _ = reply[5].(int64)
	info.Added, _ = reply[9].(int64)
	if counts, ok := reply[11].([]any); ok && len(counts) == 3 {
		info.Groups.Groups, _ = counts[0].(int64)
		info.Groups.Consumers, _ = counts[1].(int64)
		info.Groups.Pending, _ = counts[2].(int64)
	}
	ms, _ := reply[6].(int64)
	info.ActiveAgo = time.Duration(ms) * time.Millisecond
	ms, _ = reply[7].(int64)
	info.PendingAgo = time.Duration(ms) * time.Millisecond
	without, _ := reply[8].([]any)
	for _, name := range without {
		name, _ := name.(string)
		info.WithoutConsumers = append(info.WithoutConsumers, name)
	}
	return info
}
