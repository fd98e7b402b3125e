package buffer

import (
	"context"
	"fmt"
)

// Mark is the place of one message: its entry's id, and the session that it
// names in its field "id".
type Mark struct {
	ID      ID
	Session string
}

// newestScript reads the newest messages, and keeps their payloads on the
// server.
//
// KEYS[1] stream; ARGV[1] number of messages
// returns entry id, session id, entry id, session id, …, newest first
var newestScript = newScript(`
local kind = redis.call('TYPE', KEYS[1])
if (kind.ok or kind) ~= 'stream' then return {} end
local marks = {}
for _, entry in ipairs(redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', ARGV[1])) do
  local fields = entry[2]
  for i = 1, #fields, 2 do
    if fields[i] == 'id' then
      marks[#marks + 1] = entry[1]
      marks[#marks + 1] = fields[i + 1]
    end
  end
end
return marks
`)

// Newest gives the places of the newest messages of each stream, at most n of
// each, without their payloads. A stream that cannot be read has none.
func (b *Buffer) Newest(ctx context.Context, streams []string, n int) ([][]Mark, error) {
	marks := make([][]Mark, 0, len(streams))
	for len(marks) < len(streams) {
		part := streams[len(marks):min(len(streams), len(marks)+infoBatch)]
		calls := make([]scriptCall, len(part))
		for i, name := range part {
			calls[i] = scriptCall{key: b.names.StreamKey(name), args: []any{n}}
		}
		for i, cmd := range b.evalRead(ctx, newestScript, calls) {
			reply, err := cmd.StringSlice()
			if IsLost(err) {
				return marks, fmt.Errorf("reading the newest messages of stream %s: %w", Quote(part[i]), err)
			}
			marks = append(marks, parseMarks(reply))
		}
	}
	return marks, nil
}

func parseMarks(reply []string) []Mark {
	var marks []Mark
	for i := 0; i+1 < len(reply); i += 2 {
		if id, err := ParseID(reply[i]); err == nil {
			marks = append(marks, Mark{id, reply[i+1]})
		}
	}
	return marks
}

// WalkStreamKeys visits the names of all streams that have a key and are ours,
// listed or not, by a walk of the keyspace of every master; a name may come
// twice. An error means that the walk is not complete.
func (b *Buffer) WalkStreamKeys(ctx context.Context, visit func(names []string) error) error {
	prefix := b.names.StreamPrefix
	ours := func(_ context.Context, keys []string) ([]string, error) {
		names := keys[:0]
		for _, key := range keys {
			if name := key[len(prefix):]; b.Owns(name) {
				names = append(names, name)
			}
		}
		return names, nil
	}
	return walkKeyspace(ctx, b, prefix, "stream", ours, visit)
}
