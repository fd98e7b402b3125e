package buffer

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/streamkeeper/streamkeeper/internal/redisconn"
)

// stateUnderway is a Hash of the runs that remove something: what one that is cut off
// has removed last is not recorded. It goes with the sums of trims, for which there is
// the right already.
const stateUnderway = stateTrims + "underway"

// maxUnderway is how many runs have a note; the oldest go first.
const maxUnderway = 1000

// cutOff is how long after its last sign of life a run that was cut off may have
// removed something. Signs come twice a second.
const cutOff = time.Minute

// Until is until when what a gap stands for may have gone.
func (r Removal) Until() time.Time {
	if r.Run != "" {
		return r.Time.Add(cutOff)
	}
	return r.Time
}

// underwayScript notes that a run is alive.
//
// KEYS[1] Hash; ARGV id of the run, instance, how many notes to keep, and for how many ms
var underwayScript = redisconn.NewScript(`
local t = redis.call('TIME')
local notes = redis.call('HGETALL', KEYS[1])
if #notes >= 2 * tonumber(ARGV[3]) then
  local oldest, at
  for i = 1, #notes, 2 do
    local ms = tonumber(string.match(notes[i + 1], '^%d+')) or 0
    if not at or ms < at then oldest, at = notes[i], ms end
  end
  redis.call('HDEL', KEYS[1], oldest)
end
redis.call('HSET', KEYS[1], ARGV[1], string.format('%.0f ', t[1] * 1000 + math.floor(t[2] / 1000)) .. ARGV[2])
return redis.call('PEXPIRE', KEYS[1], ARGV[4])
`)

// NoteUnderway notes, before the first removal of a run and again and again while it
// lasts, that what it removes may not be recorded yet.
func (b *Buffer) NoteUnderway(ctx context.Context, id, instance string) error {
	call := redisconn.OnKey(b.stateKey(stateUnderway), id, noteOf(instance), maxUnderway, KeepState.Milliseconds())
	if err := b.conn.EvalWrite(ctx, underwayScript, []redisconn.Call{call})[0].Err(); err != nil {
		return fmt.Errorf("noting in %q that removals are under way: %w", b.stateKey(stateUnderway), err)
	}
	return nil
}

// ForgetUnderway takes the note back: all that the run removed is recorded.
func (b *Buffer) ForgetUnderway(ctx context.Context, id string) error {
	if err := b.rdb.HDel(ctx, b.stateKey(stateUnderway), id).Err(); err != nil {
		return fmt.Errorf("taking the note in %q back: %w", b.stateKey(stateUnderway), err)
	}
	return nil
}

// Underway are the runs that remove something, or were cut off at it, as gaps of the
// history, the newest first. The time is that of the last sign of life.
func (b *Buffer) Underway(ctx context.Context) (gaps []Removal, err error) {
	notes, err := b.rdb.HGetAll(ctx, b.stateKey(stateUnderway)).Result()
	if err != nil {
		return nil, fmt.Errorf("reading the runs in %s: %w", Quote(b.stateKey(stateUnderway)), err)
	}
	for id, note := range notes {
		at, instance, _ := strings.Cut(note, " ")
		ms, err := strconv.ParseInt(at, 10, 64)
		if err != nil {
			continue
		}
		gaps = append(gaps, Removal{
			Time: time.UnixMilli(ms).UTC(), Action: Gap, Instance: instance, Run: id,
			Reason: "a run was cut off, or is under way: what it removed last is not recorded",
		})
	}
	slices.SortFunc(gaps, func(a, b Removal) int { return b.Time.Compare(a.Time) })
	return gaps, nil
}
