package registry

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/streamkeeper/streamkeeper/internal/escape"
	"github.com/streamkeeper/streamkeeper/internal/redisconn"
)

// readMentions reads the bytes in which malformed sessions whose properties have
// fields of their own may name a stream.
func (r *Registry) readMentions(ctx context.Context, page []Session) error {
	var wanted []int
	for i := range page {
		s := &page[i]
		if _, ok := of(*s).(propertyLayout); ok && s.Malformed != nil && !s.Foreign && s.bytes == "" {
			wanted = append(wanted, i)
		}
	}
	if len(wanted) == 0 {
		return nil
	}
	sessions := pick(page, wanted)
	return eachLayout(sessions, func(l layout, indexes []int) error {
		of, ok := l.(propertyLayout)
		if !ok {
			return nil // its bytes are known
		}
		for part := range slices.Chunk(indexes, jsonBatch) {
			// What is longer than what is kept may own any stream.
			jsons, err := readJSONs(ctx, r, of, pick(sessions, part), maxKept+1, cutOff)
			if err != nil {
				return err
			}
			for k, i := range part {
				page[wanted[i]].mentions(jsons[k])
			}
		}
		return nil
	})
}

// mentions notes the bytes in which a session may name a stream: where one belongs, and
// its Session JSON.
func (s *Session) mentions(json string) {
	s.bytes, s.isNamed = json, s.stream.set
	if s.stream.set {
		s.bytes = strings.Join([]string{propStream, s.stream.text, json}, "\x00")
	}
}

// textScript reads what lies at a key as text.
//
// KEYS[1] the key; ARGV most bytes
// returns it, or "" if it is no text, or if nothing in it marks it as RTA's
var textScript = redisconn.NewScript(`
local text = redis.pcall('GETRANGE', KEYS[1], 0, ARGV[1] - 1)
if type(text) ~= 'string' then
  if text.err and not string.find(text.err, 'WRONGTYPE', 1, true) then return text end
  return ''
end
for _, name in ipairs({'streamName', 'streamSessionId', 'streamPosition', 'tStart', 'tEnd'}) do
  if string.find(text, name, 1, true) then return text end
end
return ''
`)

// readOthers reads the keys that lie where sessions do, and are no Hash: a text
// that is RTA's is a session that cannot be read, and may name a stream. Others
// have nothing to do with sessions.
func (r *Registry) readOthers(ctx context.Context, l Layout, found []foundKey) ([]Session, error) {
	var page []Session
	for part := range slices.Chunk(found, jsonBatch) {
		calls := make([]redisconn.Call, len(part))
		for i, f := range part {
			calls[i] = redisconn.OnKey(f.key, maxKept+1) // a longer one may own any stream
		}
		for i, cmd := range r.conn.EvalRead(ctx, textScript, calls) {
			text, err := cmd.Text()
			if err != nil {
				return nil, fmt.Errorf("reading what lies at %s instead of a session: %w", escape.Quote(part[i].key), err)
			}
			if text != "" {
				page = append(page, Session{
					Identity: part[i].identity, Layout: l, SelfExpiring: true,
					Malformed: ErrNoHash, marked: true, bytes: text,
				})
			}
		}
	}
	return page, nil
}
