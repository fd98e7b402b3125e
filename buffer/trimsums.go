package buffer

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/streamkeeper/streamkeeper/internal/redisconn"
)

// stateTrims begins the keys of Hashes, one an hour, of what was trimmed from each
// stream.
const stateTrims = "trims:"

// Bounds of the sums of trims.
const (
	// TrimHours is for how many hours they are kept.
	TrimHours = 48
	// MaxTrimSums is how many streams have a sum in an hour.
	MaxTrimSums = 2000
)

// TrimSum is what was trimmed from a stream in an hour.
type TrimSum struct {
	// Stream is the name; one that is longer than [MaxNote] is its digest.
	Stream string
	Hour   time.Time
	// Before and After are the ids of the oldest entry that was kept, 0-0 where it
	// is not known.
	Before, After ID
	Entries       int64
	Reasons       []string
	// Instance is the last one that trimmed it.
	Instance string
}

func (b *Buffer) trimsKey(hour time.Time) string {
	return b.stateKey(stateTrims + hour.UTC().Format("2006-01-02T15"))
}

// hoursOf are the hours of which sums are kept, the newest first.
func hoursOf(now time.Time) (hours []time.Time) {
	for i := range TrimHours {
		hours = append(hours, now.UTC().Truncate(time.Hour).Add(-time.Duration(i)*time.Hour))
	}
	return hours
}

// sumScript adds to the sums of an hour. Streams beyond so many have none.
//
// KEYS[1] Hash; ARGV how many streams, for how many ms, and for each stream: name,
// oldest before, oldest after, entries, reason[,reason…], instance
var sumScript = redisconn.NewScript(`
local room = tonumber(ARGV[1]) - redis.call('HLEN', KEYS[1])
for i = 3, #ARGV, 6 do
  local name, before, after, entries, reasons, instance = unpack(ARGV, i, i + 5)
  local sum = redis.call('HGET', KEYS[1], name)
  if sum then
    local b, n, r = string.match(sum, '^(%S+) %S+ (%d+) (%S+) ')
    if b then
      if b ~= '0-0' then before = b end
      entries = string.format('%.0f', entries + n)
      for one in string.gmatch(reasons, '[^,]+') do
        if not string.find(',' .. r .. ',', ',' .. one .. ',', 1, true) then r = r .. ',' .. one end
      end
      reasons = r
    end
  else
    room = room - 1
  end
  if sum or room >= 0 then
    redis.call('HSET', KEYS[1], name, before .. ' ' .. after .. ' ' .. entries .. ' ' .. reasons .. ' ' .. instance)
  end
end
return redis.call('PEXPIRE', KEYS[1], ARGV[2])
`)

// sumsPerCall keeps a call short.
const sumsPerCall = 100

// SumTrims adds to what was trimmed in the hour of now.
func (b *Buffer) SumTrims(ctx context.Context, now time.Time, sums []TrimSum) error {
	var calls []redisconn.Call
	for part := range slices.Chunk(sums, sumsPerCall) {
		args := []any{MaxTrimSums, (TrimHours * time.Hour).Milliseconds()}
		for _, s := range part {
			args = append(args, noteOf(s.Stream), s.Before.String(), s.After.String(), s.Entries, cmp.Or(strings.Join(s.Reasons, ","), "?"), noteOf(s.Instance))
		}
		calls = append(calls, redisconn.OnKey(b.trimsKey(now), args...))
	}
	for _, cmd := range b.conn.EvalWrite(ctx, sumScript, calls) {
		if err := cmd.Err(); err != nil {
			return fmt.Errorf("recording trims in %q: %w", b.trimsKey(now), err)
		}
	}
	return nil
}

// TrimSums are what was trimmed, the newest hour first: of the streams named, or of
// all.
func (b *Buffer) TrimSums(ctx context.Context, now time.Time, names []string) (all []TrimSum, err error) {
	for _, hour := range hoursOf(now) {
		sums, err := b.trimSumsIn(ctx, hour, names)
		if err != nil {
			return nil, err
		}
		all = append(all, sums...)
	}
	return all, nil
}

// OldestKept are the ids of the oldest entries that were kept in streams, as noted
// in the hour of now and the one before.
func (b *Buffer) OldestKept(ctx context.Context, now time.Time, names []string) (map[string]ID, error) {
	oldest := make(map[string]ID)
	if len(names) == 0 {
		return oldest, nil
	}
	for _, hour := range []time.Time{now.Add(-time.Hour), now} {
		sums, err := b.trimSumsIn(ctx, hour, names)
		if err != nil {
			return nil, err
		}
		for _, s := range sums {
			oldest[s.Stream] = s.After
		}
	}
	return oldest, nil
}

func (b *Buffer) trimSumsIn(ctx context.Context, hour time.Time, names []string) (sums []TrimSum, err error) {
	key, texts := b.trimsKey(hour), make(map[string]string)
	if len(names) == 0 {
		texts, err = b.rdb.HGetAll(ctx, key).Result()
	} else {
		notes := make([]string, len(names))
		for i, name := range names {
			notes[i] = noteOf(name)
		}
		var values []any
		values, err = b.rdb.HMGet(ctx, key, notes...).Result()
		for i, value := range values {
			if text, ok := value.(string); ok {
				texts[notes[i]] = text
			}
		}
	}
	if redisconn.ClassOf(err) == redisconn.ClassWrongType {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading %q: %w", key, err)
	}
	for stream, text := range texts {
		if s, ok := parseTrimSum(text); ok {
			s.Stream, s.Hour = stream, hour.UTC().Truncate(time.Hour)
			sums = append(sums, s)
		}
	}
	slices.SortFunc(sums, func(a, b TrimSum) int { return strings.Compare(a.Stream, b.Stream) })
	return sums, nil
}

// parseTrimSum reads a sum; ok is false if it is none.
func parseTrimSum(text string) (s TrimSum, ok bool) {
	parts := strings.SplitN(text, " ", 5)
	if len(parts) != 5 {
		return s, false
	}
	var errs [3]error
	s.Before, errs[0] = ParseID(parts[0])
	s.After, errs[1] = ParseID(parts[1])
	s.Entries, errs[2] = strconv.ParseInt(parts[2], 10, 64)
	s.Reasons, s.Instance = strings.Split(parts[3], ","), parts[4]
	return s, errs == [3]error{}
}

// countTrimsKeys counts the Hashes of the sums of trims.
func (b *Buffer) countTrimsKeys(ctx context.Context, now time.Time) (n int64) {
	pipe := b.rdb.Pipeline()
	var there []*redis.IntCmd
	for _, hour := range hoursOf(now.Add(time.Hour)) {
		there = append(there, pipe.Exists(ctx, b.trimsKey(hour)))
	}
	_, _ = pipe.Exec(ctx)
	for _, cmd := range there {
		n += cmd.Val()
	}
	return n
}
