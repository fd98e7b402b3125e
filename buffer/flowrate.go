package buffer

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/streamkeeper/streamkeeper/internal/redisconn"
)

// Bounds of what tells how fast a stream flows.
const (
	// rateEntries and rateSpan are enough, rateEntriesMost and rateCalls the most.
	rateEntries     = 32
	rateSpan        = 2 * time.Second
	rateEntriesMost = 128
	rateCalls       = 8
	// An interval is a pause if it is longer than leastPause, and than so many times
	// the usual one.
	leastPause  = time.Second
	pauseFactor = 10
)

// newestIDsScript finds the ids of the newest entries, and keeps what is in them on
// the server. It reads one entry at a time: only then a large one is not followed by
// another.
//
// KEYS[1] stream; ARGV[1] largest id, ARGV[2] most entries, ARGV[3] most bytes
// returns ids
var newestIDsScript = redisconn.NewScript(`
local ids, bytes, to = {}, 0, ARGV[1]
while #ids < tonumber(ARGV[2]) and bytes < tonumber(ARGV[3]) do
  local entry = redis.call('XREVRANGE', KEYS[1], to, '-', 'COUNT', 1)[1]
  if not entry then break end
  for _, text in ipairs(entry[2]) do bytes = bytes + #text end
  ids[#ids + 1] = entry[1]
  to = '(' .. entry[1]
end
return ids
`)

// FlowRate is how many entries a second come to a stream while it flows, going by its
// newest ones: pauses between them do not count. 0 if that cannot be told, or may not
// be asked; an error breaks the connection.
func (b *Buffer) FlowRate(ctx context.Context, stream string) (float64, error) {
	var ids []ID
	to := "+"
	for range rateCalls {
		call := redisconn.OnKey(b.names.StreamKey(stream), to, rateEntriesMost-len(ids), b.lookBytes())
		found, err := b.conn.EvalRead(ctx, newestIDsScript, []redisconn.Call{call})[0].StringSlice()
		switch {
		case redisconn.IsLost(err) && redisconn.ClassOf(err) != redisconn.ClassAuth:
			return 0, fmt.Errorf("reading the newest ids of stream %s: %w", Quote(stream), err)
		case err != nil:
			return 0, nil //nolint:nilerr // the mean has to do
		}
		for _, text := range found {
			id, err := ParseID(text)
			if err != nil {
				return 0, fmt.Errorf("reading the newest ids of stream %s: %w", Quote(stream), err)
			}
			ids = append(ids, id)
		}
		if rate, span := flowRate(ids); len(found) == 0 || len(ids) >= rateEntriesMost || len(ids) >= rateEntries && span >= rateSpan {
			return rate, nil
		}
		to = "(" + ids[len(ids)-1].String()
	}
	rate, _ := flowRate(ids)
	return rate, nil
}

// flowRate is how many entries a second came, the newest first, and in which time
// without pauses. Ids that are no times tell nothing.
func flowRate(ids []ID) (rate float64, span time.Duration) {
	// Entries of one millisecond came in one interval.
	var intervals []time.Duration
	var came []int
	n := 0
	for i, id := range ids[:max(0, len(ids)-1)] {
		if ids[i+1].Ms < MinTimeMs {
			break
		}
		n++
		if d := time.Duration(id.Ms-ids[i+1].Ms) * time.Millisecond; d > 0 {
			intervals, came, n = append(intervals, d), append(came, n), 0
		}
	}
	if len(intervals) == 0 {
		return 0, 0
	}
	usual := slices.Sorted(slices.Values(intervals))[len(intervals)/2]
	entries := 0
	for i, d := range intervals {
		if d <= max(leastPause, pauseFactor*usual) {
			span, entries = span+d, entries+came[i]
		}
	}
	if span == 0 {
		return 0, 0
	}
	return float64(entries) / span.Seconds(), span
}
