package buffer

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/streamkeeper/streamkeeper/internal/redisconn"
)

// stateHistory is a Stream of what was removed: the id of an entry is its time.
const stateHistory = "history"

// DefaultHistoryLength is how many removals are remembered.
const DefaultHistoryLength = 100_000

// Gap is the action of an entry that stands for removals which could not be
// recorded.
const Gap = "gap"

// Removal is one entry of the history.
type Removal struct {
	// Time is when it was recorded, by Redis's clock.
	Time time.Time
	// Action is what was done, in the words of plan, or [Gap].
	Action string
	// Name of a session or a stream; of a gap, how many removals it stands for. One
	// that is longer than [MaxNote] is its digest.
	Name     string
	Reason   string
	Instance string
	// Since is, of a gap that grew, when it began; zero for when it was recorded.
	Since time.Time
	// Run is, of a gap, the run that was cut off or is under way; see
	// [Buffer.Underway]. Empty for what is recorded.
	Run string
}

// fields are the names and values of an entry. The names are short, and the same
// in each, so that Redis keeps them once for many entries.
func (r Removal) fields() []any {
	return []any{"a", r.Action, "n", noteOf(r.Name), "r", atMost(r.Reason, MaxNote), "i", noteOf(r.Instance)}
}

// atMost is the beginning of a text.
func atMost(text string, bytes int) string {
	return strings.ToValidUTF8(text[:min(len(text), bytes)], "")
}

// historyScript adds entries in one go: all or none of them.
//
// KEYS[1] Stream; ARGV how many to keep, for how many ms, and 8 fields and values
// for each entry
var historyScript = redisconn.NewScript(`
for i = 3, #ARGV, 8 do
  redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[1], '*', unpack(ARGV, i, i + 7))
end
return redis.call('PEXPIRE', KEYS[1], ARGV[2])
`)

// Record adds to the history, which keeps the newest entries, and up to one macro
// node more.
func (b *Buffer) Record(ctx context.Context, removals []Removal, keep int64) error {
	args := []any{keep, KeepState.Milliseconds()}
	for _, r := range removals {
		args = append(args, r.fields()...)
	}
	call := redisconn.OnKey(b.stateKey(stateHistory), args...)
	if err := b.conn.EvalWrite(ctx, historyScript, []redisconn.Call{call})[0].Err(); err != nil {
		return fmt.Errorf("recording removals in %q: %w", b.stateKey(stateHistory), err)
	}
	return nil
}

// gapScript notes how many removals could not be recorded. The newest entry grows
// if it is a gap for the same reason, whoever left it, so that a long shortage of
// memory does not drive removals out; else the gap takes the place of the oldest entry. Of a gap
// that is the only entry it takes the number, too. Redis lets a script that has
// begun to remove add something, at maxmemory too.
//
// KEYS[1] Stream; ARGV how long to keep it in ms, and 8 fields and values
var gapScript = redisconn.NewScript(`
local function take(fields) ARGV[5] = string.format('%.0f', ARGV[5] + (tonumber(fields[4]) or 0)) end
local length, since = redis.call('XLEN', KEYS[1]), ''
local newest = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)[1]
local f = newest and newest[2] or {}
if f[2] == ARGV[3] and f[6] == ARGV[7] then
  if redis.pcall('XDEL', KEYS[1], newest[1]) == 1 then
    take(f)
    length, since = length - 1, f[10] or string.match(newest[1], '^%d+')
  end
end
if since == '' then
  if length == 1 and f[2] == ARGV[3] then take(f) end
  redis.call('XTRIM', KEYS[1], 'MAXLEN', '=', math.max(0, length - 1))
end
if since ~= '' then ARGV[10], ARGV[11] = 's', since end
redis.call('XADD', KEYS[1], '*', unpack(ARGV, 2))
return redis.call('PEXPIRE', KEYS[1], ARGV[1])
`)

// RecordGap notes in the history that removals are missing there, out of memory
// too.
func (b *Buffer) RecordGap(ctx context.Context, removals int64, reason, instance string) error {
	gap := Removal{Action: Gap, Name: strconv.FormatInt(removals, 10), Reason: reason, Instance: instance}
	call := redisconn.OnKey(b.stateKey(stateHistory), append([]any{KeepState.Milliseconds()}, gap.fields()...)...)
	if err := b.conn.EvalWrite(ctx, gapScript, []redisconn.Call{call})[0].Err(); err != nil {
		return fmt.Errorf("recording a gap in %q: %w", b.stateKey(stateHistory), err)
	}
	return nil
}

// historyPage is how many entries are read at once.
const historyPage = 500

// WalkHistory visits the history, the newest entry first, back to a time, with the runs
// of [Buffer.Underway] as gaps.
func (b *Buffer) WalkHistory(ctx context.Context, since time.Time, visit func(Removal)) error {
	runs, err := b.Underway(ctx)
	if err != nil {
		return err
	}
	// visitRuns visits those from a time on.
	visitRuns := func(from time.Time) {
		for len(runs) > 0 && !runs[0].Time.Before(from) {
			visit(runs[0])
			runs = runs[1:]
		}
	}
	start, end := "-", "+"
	if !since.IsZero() {
		start = strconv.FormatInt(since.UnixMilli(), 10)
	}
	for {
		page, err := b.rdb.XRevRangeN(ctx, b.stateKey(stateHistory), end, start, historyPage).Result()
		if err != nil {
			return fmt.Errorf("reading the history in %s: %w", Quote(b.stateKey(stateHistory)), err)
		}
		for _, entry := range page {
			// What has no action is not ours.
			if r := removalOf(entry); r.Action != "" {
				visitRuns(r.Time)
				visit(r)
			}
		}
		if len(page) < historyPage {
			visitRuns(since)
			return nil
		}
		end = "(" + page[len(page)-1].ID
	}
}

// NewestRemovals are the newest entries of the history, at most so many, the newest
// first.
func (b *Buffer) NewestRemovals(ctx context.Context, most int64) (all []Removal, err error) {
	page, err := b.rdb.XRevRangeN(ctx, b.stateKey(stateHistory), "+", "-", most).Result()
	if err != nil {
		return nil, fmt.Errorf("reading the history in %s: %w", Quote(b.stateKey(stateHistory)), err)
	}
	for _, entry := range page {
		if r := removalOf(entry); r.Action != "" {
			all = append(all, r)
		}
	}
	return all, nil
}

func removalOf(entry redis.XMessage) Removal {
	text := func(field string) string {
		value, _ := entry.Values[field].(string)
		return value
	}
	r := Removal{Action: text("a"), Name: text("n"), Reason: text("r"), Instance: text("i")}
	if id, err := ParseID(entry.ID); err == nil {
		r.Time = id.Time()
	}
	if ms, err := strconv.ParseInt(text("s"), 10, 64); err == nil && r.Action == Gap {
		r.Since = time.UnixMilli(ms).UTC()
	}
	return r
}

// NotedAs reports whether a name stands so in the history.
func NotedAs(name, noted string) bool { return noteOf(name) == noted }

// Missing is how many removals a gap stands for.
func (r Removal) Missing() int64 {
	n, _ := strconv.ParseInt(r.Name, 10, 64)
	return n
}
