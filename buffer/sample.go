package buffer

import (
	"context"
	"fmt"

	"github.com/streamkeeper/streamkeeper/internal/redisconn"
)

// PeekRequest asks for one message of a stream: the first, or the last, of those
// whose ids lie in a range.
type PeekRequest struct {
	Stream string
	// From is the smallest id of the range, and Before the id above its
	// largest; 0-0 as Before means that there is no end.
	From, Before ID
	// Last asks for the last message in the range, not for the first.
	Last bool
	// MaxBytes is the length past which a message is found, but not sent.
	MaxBytes int64
}

// PeekResult is the outcome of a [PeekRequest].
type PeekResult struct {
	// Found reports whether the range holds a message.
	Found bool
	ID    ID
	// Bytes is the length of all its fields, names and values.
	Bytes int64
	// Fields are names and values in turn, as the producer gave them; nil if
	// the message is longer than MaxBytes.
	Fields []string
	Err    error
}

// peekScript looks at a message before it sends it: no plain command tells
// the length of a message, and a single one may have hundreds of megabytes.
//
// KEYS[1] stream
// ARGV[1] first id; ARGV[2] "(" and the id past the end, or "+"; ARGV[3] "1"
// for the last message; ARGV[4] bytes past which it is not sent
// returns {} if there is none, {id, bytes} if it is too long, else {id, bytes, fields}
var peekScript = redisconn.NewScript(`
local found
if ARGV[3] == '1' then
  found = redis.call('XREVRANGE', KEYS[1], ARGV[2], ARGV[1], 'COUNT', 1)[1]
else
  found = redis.call('XRANGE', KEYS[1], ARGV[1], ARGV[2], 'COUNT', 1)[1]
end
if not found then return {} end
local bytes = 0
for _, text in ipairs(found[2]) do bytes = bytes + #text end
if bytes > tonumber(ARGV[4]) then return {found[1], bytes} end
return {found[1], bytes, found[2]}
`)

// Peeks reads messages in one pipeline. Redis and this process hold at most
// the sum of MaxBytes for it, and the server works about 1.4 ms a megabyte
// that it looks at, so both are to be small. An error means that the
// connection broke.
func (b *Buffer) Peeks(ctx context.Context, peeks []PeekRequest) ([]PeekResult, error) {
	calls := make([]redisconn.Call, len(peeks))
	for i, p := range peeks {
		end, last := "+", "0"
		if !p.Before.IsZero() {
			end = "(" + p.Before.String()
		}
		if p.Last {
			last = "1"
		}
		calls[i] = redisconn.OnKey(b.names.StreamKey(p.Stream), p.From.String(), end, last, p.MaxBytes)
	}
	outcomes := make([]PeekResult, len(peeks))
	for i, cmd := range b.conn.EvalRead(ctx, peekScript, calls) {
		reply, err := cmd.Slice()
		if redisconn.IsLost(err) {
			return nil, fmt.Errorf("reading a message of stream %s: %w", Quote(peeks[i].Stream), err)
		}
		outcomes[i] = parsePeek(reply, err)
	}
	return outcomes, nil
}

func parsePeek(reply []any, err error) PeekResult {
	if err == nil && len(reply) == 1 {
		err = fmt.Errorf("%w: a message without its size", redisconn.ErrIncomplete)
	}
	if err != nil || len(reply) == 0 {
		return PeekResult{Err: err}
	}
	text, _ := reply[0].(string)
	id, err := ParseID(text)
	if err != nil {
		return PeekResult{Err: fmt.Errorf("reading a message: %w", err)}
	}
	p := PeekResult{Found: true, ID: id}
	p.Bytes, _ = reply[1].(int64)
	if len(reply) > 2 {
		p.Fields = texts(reply[2])
	}
	return p
}
