package buffer

import (
	"context"
	"errors"
	"fmt"

	"github.com/streamkeeper/streamkeeper/internal/redisconn"
)

// TailRequest asks for the messages of a stream that come after one that is known.
type TailRequest struct {
	Stream string
	After  ID
	// MaxCount is the most messages that are sent; 0 asks only where the
	// stream ends.
	MaxCount int
	// MaxBytes is the most that they have together, names and values of their
	// fields. The first is told of, but not sent, if it is longer by itself.
	MaxBytes int64
}

// Entry is a message of a stream.
type Entry struct {
	ID ID
	// Bytes is the length of all its fields, names and values.
	Bytes int64
	// Fields are names and values in turn, as the producer gave them; nil if
	// the message is longer than was asked for.
	Fields []string
}

// TailResult is the outcome of a [TailRequest].
type TailResult struct {
	// Exists reports whether there is such a key.
	Exists  bool
	Entries []Entry
	// More reports that the bounds ended the reading, not the stream.
	More bool
	// Length is how many entries there are, and Oldest the id of the oldest; zero
	// if there is none.
	Length int64
	Oldest ID
	// LastID is the last generated id, which stays when entries go.
	LastID ID
	// Added is how many entries the stream was ever given, -1 where the server
	// does not say: before Redis 7.0.
	Added int64
	Err   error
}

// tailScript reads message by message, since no plain command bounds the bytes
// that it sends, and what it says of the stream belongs to the same instant.
// It is asked again and again: XREAD BLOCK would hold a connection for each
// reader, and in a cluster for each node, and wants a right of its own.
//
// KEYS[1] stream
// ARGV[1] id to read after; ARGV[2] most messages; ARGV[3] most bytes
// returns {0} if there is no key, else {messages, 1 if there are more of them, length,
// oldest id, last id, entries ever added or -1}; a message is {id, bytes, fields},
// or {id, bytes} if it is too long
var tailScript = redisconn.NewScript(`
local kind = redis.call('TYPE', KEYS[1])
if (kind.ok or kind) == 'none' then return {0} end
local after, most, left, messages, more = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), {}, ARGV[2] ~= '0'
for i = 1, most do
  local found = redis.call('XRANGE', KEYS[1], '(' .. after, '+', 'COUNT', 1)[1]
  if not found then more = false; break end
  local bytes = 0
  for _, text in ipairs(found[2]) do bytes = bytes + #text end
  if bytes > left then
    if i == 1 then messages[1] = {found[1], bytes} end
    break
  end
  after, left, messages[i] = found[1], left - bytes, {found[1], bytes, found[2]}
end
local length, oldest, last, added = 0, '0-0', '0-0', -1
local info = redis.call('XINFO', 'STREAM', KEYS[1])
for i = 1, #info, 2 do
  local name, value = info[i], info[i + 1]
  if name == 'length' then length = value
  elseif name == 'last-generated-id' then last = value
  elseif name == 'entries-added' then added = value
  elseif name == 'first-entry' and type(value) == 'table' and value[1] then oldest = value[1] end
end
if last == '' then last = '0-0' end
return {messages, more and 1 or 0, length, oldest, last, added}
`)

// Tails reads what came to streams in one pipeline. Redis and this process hold
// at most the sum of MaxBytes for it. Streams on several nodes of a cluster
// have errors of their own.
func (b *Buffer) Tails(ctx context.Context, tails []TailRequest) []TailResult {
	calls := make([]redisconn.Call, len(tails))
	for i, t := range tails {
		calls[i] = redisconn.OnKey(b.names.StreamKey(t.Stream), t.After.String(), t.MaxCount, t.MaxBytes)
	}
	outcomes := make([]TailResult, len(tails))
	for i, cmd := range b.conn.EvalRead(ctx, tailScript, calls) {
		reply, err := cmd.Slice()
		if err == nil {
			outcomes[i], err = parseTail(reply)
		}
		if err != nil {
			outcomes[i].Err = fmt.Errorf("following stream %s: %w", Quote(tails[i].Stream), err)
		}
	}
	return outcomes
}

func parseTail(reply []any) (TailResult, error) {
	if len(reply) == 1 && reply[0] == int64(0) {
		return TailResult{Added: -1}, nil
	}
	if len(reply) < 6 {
		return TailResult{}, fmt.Errorf("the reply has %d parts, want 6", len(reply))
	}
	t := TailResult{Exists: true, Added: -1}
	messages, _ := reply[0].([]any)
	for _, m := range messages {
		entry, err := parseEntry(m)
		if err != nil {
			return t, err
		}
		t.Entries = append(t.Entries, entry)
	}
	more, _ := reply[1].(int64)
	t.More = more == 1
	t.Length, _ = reply[2].(int64)
	oldest, _ := reply[3].(string)
	last, _ := reply[4].(string)
	t.Added, _ = reply[5].(int64)
	var err, faulty error
	t.Oldest, err = ParseID(oldest)
	t.LastID, faulty = ParseID(last)
	return t, errors.Join(err, faulty)
}

func parseEntry(reply any) (Entry, error) {
	parts, _ := reply.([]any)
	if len(parts) < 2 {
		return Entry{}, fmt.Errorf("a message is %v", reply)
	}
	text, _ := parts[0].(string)
	id, err := ParseID(text)
	e := Entry{ID: id}
	e.Bytes, _ = parts[1].(int64)
	if len(parts) > 2 {
		e.Fields = texts(parts[2])
	}
	return e, err
}
