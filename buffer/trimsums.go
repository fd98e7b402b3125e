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
	// is not known, or where none was.
	Before, After ID
	Entries       int64
	// Bytes is an estimate of what the entries took, 0 if not known.
	Bytes int64
	// Others is how many entries went in that time without us; negative if that is
	// not known, as before Redis 7.0.
	Others int64
	// Gone is how many entries have ever gone from the stream, as far as was seen;
	// negative if that is not known.
	Gone int64
	// Last is when the sum was written last.
	Last    time.Time
	Reasons []string
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

// TrimmedNow adds to a [TrimSum]. Its Gone is negative where more entries may be going
// meanwhile.
type TrimmedNow struct {
	TrimSum
	// GoneBefore is how many entries had gone before it, as the last sum says;
	// negative if not known. It counts where there is no sum of the hour yet, or where
	// it is [NotRecorded].
	GoneBefore int64
}

// NotRecorded is the GoneBefore of a stream of which we may have trimmed more than any sum
// says: what has gone until now is nobody else's for sure.
const NotRecorded = -2

// sumScript adds to the sums of an hour. Streams beyond so many have none. The
// entries that went without us are those that are gone, but for those that were
// gone before and those that are added now. Where the first reading finds that no
// more have ever gone than are added now, there are none. Gone before is -2 where more
// went than is known.
//
// KEYS[1] Hash; ARGV how many streams, for how many ms, the time in ms, and for each
// stream: name, oldest before, oldest after, entries, bytes, gone or -1, gone before
// or -1, reason[,reason…], instance
// returns how many streams have no sum
var sumScript = redisconn.NewScript(`
local room, without = tonumber(ARGV[1]) - redis.call('HLEN', KEYS[1]), 0
local function whole(n) return string.format('%.0f', n) end
for i = 4, #ARGV, 9 do
  local name, before, after, entries, bytes, gone, due, reasons, instance = unpack(ARGV, i, i + 8)
  local new, others = tonumber(entries), -1
  entries, bytes, gone, due = new, tonumber(bytes), tonumber(gone), tonumber(due)
  if due >= 0 then others = 0 end
  local sum = redis.call('HGET', KEYS[1], name)
  if sum then
    local b, n, size, o, g, r = string.match(sum, '^(%d+%-%d+) %S+ (%d+) (%d+) (%-?%d+) (%-?%d+) %d+ (%S+) ')
    if b then
      local recorded = due ~= ` + strconv.Itoa(NotRecorded) + `
      before, entries, bytes, others, due = b, entries + n, bytes + size, tonumber(o), recorded and tonumber(g) or -1
      if not recorded and others == 0 then others = -1 end
      for one in string.gmatch(reasons, '[^,]+') do
        if not string.find(',' .. r .. ',', ',' .. one .. ',', 1, true) then r = r .. ',' .. one end
      end
      reasons = r
    end
  else
    room = room - 1
  end
  if due >= 0 then due = due + new end
  if gone >= 0 then
    if due >= 0 then
      if others >= 0 or gone > due then others = math.max(math.max(others, 0) + gone - due, 0) end
    elseif gone <= entries then
      others = 0
    end
    due = gone
  end
  if sum or room >= 0 then
    redis.call('HSET', KEYS[1], name, before .. ' ' .. after .. ' ' .. whole(entries) .. ' ' .. whole(bytes) .. ' ' .. whole(others) ..
      ' ' .. whole(due) .. ' ' .. ARGV[3] .. ' ' .. reasons .. ' ' .. instance)
  else
    without = without + 1
  end
end
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return without
`)

// sumsPerCall keeps a call short.
const sumsPerCall = 100

// SumTrims adds to what was trimmed in the hour of now.
func (b *Buffer) SumTrims(ctx context.Context, now time.Time, sums []TrimmedNow) error {
	var calls []redisconn.Call
	for part := range slices.Chunk(sums, sumsPerCall) {
		args := []any{MaxTrimSums, (TrimHours * time.Hour).Milliseconds(), now.UnixMilli()}
		for _, s := range part {
			args = append(args, noteOf(s.Stream), s.Before.String(), s.After.String(), s.Entries, s.Bytes, s.Gone, s.GoneBefore,
				cmp.Or(strings.Join(s.Reasons, ","), "?"), noteOf(s.Instance))
		}
		calls = append(calls, redisconn.OnKey(b.trimsKey(now), args...))
	}
	for _, cmd := range b.conn.EvalWrite(ctx, sumScript, calls) {
		if err := cmd.Err(); err != nil {
			return fmt.Errorf("recording trims in %s: %w", Quote(b.trimsKey(now)), err)
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

// LastTrims are the newest sums of streams, by their names.
func (b *Buffer) LastTrims(ctx context.Context, now time.Time, names []string) (map[string]TrimSum, error) {
	last, left := make(map[string]TrimSum), slices.Clone(names)
	for _, hour := range hoursOf(now) {
		if len(left) == 0 {
			break
		}
		sums, err := b.trimSumsIn(ctx, hour, left)
		if err != nil {
			return nil, err
		}
		for _, s := range sums {
			last[s.Stream] = s
		}
		left = slices.DeleteFunc(left, func(name string) bool {
			_, found := last[noteOf(name)]
			return found
		})
	}
	for _, name := range names {
		if s, found := last[noteOf(name)]; found {
			last[name] = s
		}
	}
	return last, nil
}

func (b *Buffer) trimSumsIn(ctx context.Context, hour time.Time, names []string) (sums []TrimSum, err error) {
	key, texts := b.trimsKey(hour), make(map[string]string)
	if len(names) == 0 {
		texts, err = b.rdb.HGetAll(ctx, key).Result()
	}
	for part := range slices.Chunk(names, namePage) {
		if err = b.fetchTrimSums(ctx, key, part, texts); err != nil {
			break
		}
	}
	if err != nil {
		return nil, fmt.Errorf("reading the trims in %s: %w", Quote(key), err)
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

// fetchTrimSums reads the notes of a few streams.
func (b *Buffer) fetchTrimSums(ctx context.Context, key string, names []string, texts map[string]string) error {
	notes := make([]string, len(names))
	for i, name := range names {
		notes[i] = noteOf(name)
	}
	values, err := b.rdb.HMGet(ctx, key, notes...).Result()
	for i, value := range values {
		if text, ok := value.(string); ok {
			texts[notes[i]] = text
		}
	}
	return err
}

// parseTrimSum reads a sum; ok is false if it is none.
func parseTrimSum(text string) (s TrimSum, ok bool) {
	parts := strings.SplitN(text, " ", 9)
	if len(parts) != 9 {
		return s, false
	}
	var errs [7]error
	s.Before, errs[0] = ParseID(parts[0])
	s.After, errs[1] = ParseID(parts[1])
	var last int64
	for i, into := range []*int64{&s.Entries, &s.Bytes, &s.Others, &s.Gone, &last} {
		*into, errs[2+i] = strconv.ParseInt(parts[2+i], 10, 64)
	}
	s.Last, s.Reasons, s.Instance = time.UnixMilli(last).UTC(), strings.Split(parts[7], ","), parts[8]
	return s, errs == [7]error{}
}

// TrimHour is what is known of the sums of an hour.
type TrimHour struct {
	Hour time.Time
	// Streams is how many have a sum: with [MaxTrimSums] others may have none.
	Streams int64
}

// TrimHoursKept are the hours in which anything was trimmed, the newest first.
func (b *Buffer) TrimHoursKept(ctx context.Context, now time.Time) (kept []TrimHour, err error) {
	pipe := b.rdb.Pipeline()
	hours := hoursOf(now)
	counts := make([]*redis.IntCmd, len(hours))
	for i, hour := range hours {
		counts[i] = pipe.HLen(ctx, b.trimsKey(hour))
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return nil, fmt.Errorf("counting the trims in %s: %w", Quote(b.stateKey(stateTrims+"*")), err)
	}
	for i, hour := range hours {
		if n := counts[i].Val(); n > 0 {
			kept = append(kept, TrimHour{hour, n})
		}
	}
	return kept, nil
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
