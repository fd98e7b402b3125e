package buffer

import (
	"context"
	"crypto/sha256"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/streamkeeper/streamkeeper/internal/redisconn"
)

// takesNoNote reports whether a note could not be kept, so that what depends on
// it is left undone: Redis has no memory left, or the key holds another type.
func takesNoNote(err error) bool {
	class := redisconn.ClassOf(err)
	return class == redisconn.ClassOOM || class == redisconn.ClassWrongType
}

// Bounds of what lies under the state prefix, whatever lies in the buffer.
const (
	// MaxRemembered is how many names are kept of each kind. Of the names of
	// retired streams the oldest are forgotten first; of those that were seen
	// without an entry the newest, which are seen again.
	MaxRemembered = 100_000
	// MaxNote is how many bytes a note may have; see [noteOf].
	MaxNote = 256
	// KeepState is how long a note is kept, and a key after its last note: nobody
	// needs those of an installation that is gone.
	KeepState = 366 * 24 * time.Hour
)

// noteOf is a name as it is noted where notes are only looked up: one that is too
// long by its digest.
func noteOf(name string) string {
	if len(name) <= MaxNote {
		return name
	}
	return fmt.Sprintf("sha256:%x", sha256.Sum256([]byte(name)))
}

func (b *Buffer) stateKey(name string) string { return b.names.StatePrefix + name }

// rememberScript notes a name by the server's time, and lets the oldest go. Two
// notes of one name never have the same time: each instance takes back its own. What
// is to be said of the note is a fraction of its last millisecond.
//
// KEYS[1] Sorted Set; ARGV name, how many to keep, for how many ms, the fraction, and
// how much of the fraction of a note that is there goes on
// returns {1 if nobody had noted it before, its time in ms}
var rememberScript = redisconn.NewScript(`
local t = redis.call('TIME')
local ms = t[1] * 1000 + math.floor(t[2] / 1000)
local noted, part = tonumber(redis.call('ZSCORE', KEYS[1], ARGV[1]) or nil), tonumber(ARGV[4])
if noted then
  if math.floor(noted) >= ms then ms = math.floor(noted) + 1 end
  if noted % 1 >= tonumber(ARGV[5]) then part = part + tonumber(ARGV[5]) end
end
local new = redis.call('ZADD', KEYS[1], string.format('%.2f', ms + part), ARGV[1])
redis.call('ZREMRANGEBYRANK', KEYS[1], 0, -ARGV[2] - 1)
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', string.format('%.0f', ms - ARGV[3]))
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return {new, ms}
`)

// note is that a name was remembered. Where it is not new, an earlier run or
// another instance may rely on it.
type note struct {
	new bool
	at  time.Time
}

// remember notes a name before its stream is removed, or its name taken out; nil if
// that cannot be noted, as of a name that is too long.
func (b *Buffer) remember(ctx context.Context, stream string, w why) (*note, error) {
	if len(stream) > MaxNote {
		return nil, nil
	}
	return b.noteName(ctx, stateRetired, stream, w)
}

// NoteRelisted notes that a name was listed again because a session names it.
func (b *Buffer) NoteRelisted(ctx context.Context, stream string) error {
	_, err := b.noteName(ctx, stateRelisted, stream, isRetired)
	return err
}

// Relisted returns, for each name, when it was last listed again because a session
// names it; zero if it never was.
func (b *Buffer) Relisted(ctx context.Context, names []string) ([]time.Time, error) {
	return b.scores(ctx, stateRelisted, names)
}

func (b *Buffer) noteName(ctx context.Context, state, stream string, w why) (*note, error) {
	call := redisconn.OnKey(b.stateKey(state), noteOf(stream), MaxRemembered, KeepState.Milliseconds(), w.part, w.goesOn)
	reply, err := b.conn.EvalWrite(ctx, rememberScript, []redisconn.Call{call})[0].Int64Slice()
	if takesNoNote(err) {
		return nil, nil
	}
	if err == nil && len(reply) != 2 {
		err = fmt.Errorf("%d values instead of 2", len(reply))
	}
	if err != nil {
		return nil, fmt.Errorf("noting the name of stream %s in %q: %w", Quote(stream), b.stateKey(state), err)
	}
	return &note{new: reply[0] == 1, at: time.UnixMilli(reply[1])}, nil
}

// takeBack forgets a name that was not retired after all, unless somebody
// else had noted it.
func (b *Buffer) takeBack(ctx context.Context, stream string, n *note) error {
	if n == nil || !n.new {
		return nil
	}
	return b.forget(ctx, stream, n.at)
}

// forgetScript forgets a name that was not noted again since: another instance
// that retires the same stream relies on what it noted.
//
// KEYS[1] Sorted Set; ARGV name, score
// returns 1 if it was forgotten
var forgetScript = redisconn.NewScript(`
local score = redis.call('ZSCORE', KEYS[1], ARGV[1])
if score and math.floor(tonumber(score)) == tonumber(ARGV[2]) then return redis.call('ZREM', KEYS[1], ARGV[1]) end
return 0
`)

func (b *Buffer) forget(ctx context.Context, stream string, noted time.Time) error {
	call := redisconn.OnKey(b.stateKey(stateRetired), noteOf(stream), noted.UnixMilli())
	if err := b.conn.EvalWrite(ctx, forgetScript, []redisconn.Call{call})[0].Err(); err != nil {
		return fmt.Errorf("forgetting that stream %s was retired: %w", Quote(stream), err)
	}
	return nil
}

// Retired reports, for each name, whether it is remembered as retired.
func (b *Buffer) Retired(ctx context.Context, names []string) ([]bool, error) {
	times, err := b.scores(ctx, stateRetired, names)
	retired := make([]bool, len(names))
	for i := range times {
		retired[i] = !times[i].IsZero()
	}
	return retired, err
}

// Sightings gives, for each name, when it was first seen without an entry;
// zero if it was not seen so yet.
func (b *Buffer) Sightings(ctx context.Context, names []string) ([]time.Time, error) {
	return b.scores(ctx, stateSighted, names)
}

func (b *Buffer) scores(ctx context.Context, state string, names []string) ([]time.Time, error) {
	scores, err := b.noted(ctx, state, names)
	times := make([]time.Time, len(scores))
	for i, score := range scores {
		times[i] = scoreTime(score)
	}
	return times, err
}

// scoreTime is the time of a note; zero where there is none.
func scoreTime(score float64) time.Time {
	if score <= 0 {
		return time.Time{}
	}
	return time.UnixMilli(int64(score)).UTC()
}

// noted are the scores of names; 0 of one that is not there.
func (b *Buffer) noted(ctx context.Context, state string, names []string) ([]float64, error) {
	all := make([]float64, 0, len(names))
	for part := range slices.Chunk(names, namePage) {
		notes := make([]string, len(part))
		for i, name := range part {
			notes[i] = noteOf(name)
		}
		scores, err := b.rdb.ZMScore(ctx, b.stateKey(state), notes...).Result()
		if redisconn.ClassOf(err) == redisconn.ClassWrongType {
			return make([]float64, len(names)), nil
		}
		if err != nil {
			return nil, fmt.Errorf("reading what is remembered of streams: %w", err)
		}
		all = append(all, scores...)
	}
	return all, nil
}

// Sight notes names that have no entry, as first seen now unless they were
// noted before. It reports false if that cannot be noted. A name that is too long
// to be noted stays.
func (b *Buffer) Sight(ctx context.Context, names []string, now time.Time) (bool, error) {
	err := b.noteFirst(ctx, stateSighted, names, MaxRemembered, now)
	if takesNoNote(err) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("noting streams without entries: %w", err)
	}
	return true, nil
}

// noteFirstScript notes members that are not noted yet, and forgets those that
// were noted too long ago, and the newest beyond so many. It adds first: after a
// write of its own Redis lets a script add beyond maxmemory.
//
// KEYS[1] Sorted Set; ARGV time in ms, how many to keep, for how many ms, members
var noteFirstScript = redisconn.NewScript(`
for i = 4, #ARGV do redis.call('ZADD', KEYS[1], 'NX', ARGV[1], ARGV[i]) end
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', string.format('%.0f', ARGV[1] - ARGV[3]))
redis.call('ZREMRANGEBYRANK', KEYS[1], ARGV[2], -1)
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return 1
`)

// noteFirst notes members that are short enough.
func (b *Buffer) noteFirst(ctx context.Context, state string, members []string, most int, now time.Time) error {
	var notes []any
	for _, m := range members {
		if len(m) <= MaxNote {
			notes = append(notes, m)
		}
	}
	for page := range slices.Chunk(notes, namePage) {
		args := append([]any{now.UnixMilli(), most, KeepState.Milliseconds()}, page...)
		if err := b.conn.EvalWrite(ctx, noteFirstScript, []redisconn.Call{redisconn.OnKey(b.stateKey(state), args...)})[0].Err(); err != nil {
			return err
		}
	}
	return nil
}

// Unsight forgets sightings, of streams that have entries or are gone.
func (b *Buffer) Unsight(ctx context.Context, names []string) error {
	if len(names) == 0 {
		return nil
	}
	members := make([]any, len(names))
	for i, name := range names {
		members[i] = name
	}
	if err := b.rdb.ZRem(ctx, b.stateKey(stateSighted), members...).Err(); err != nil && redisconn.ClassOf(err) != redisconn.ClassWrongType {
		return fmt.Errorf("forgetting streams without entries: %w", err)
	}
	return nil
}

// WalkSighted visits the names that are noted as seen without an entry.
func (b *Buffer) WalkSighted(ctx context.Context, visit func(names []string) error) error {
	return b.walkState(ctx, stateSighted, func(members []member) error {
		names := make([]string, len(members))
		for i, m := range members {
			names[i] = m.name
		}
		return visit(names)
	})
}

// member is one name of a Sorted Set of ours.
type member struct {
	name string
	at   time.Time
}

func (b *Buffer) walkState(ctx context.Context, state string, visit func([]member) error) error {
	key := b.stateKey(state)
	fetch := func(ctx context.Context, cursor uint64) ([]member, uint64, error) {
		pairs, next, err := b.rdb.ZScan(ctx, key, cursor, "", namePage).Result()
		if redisconn.ClassOf(err) == redisconn.ClassWrongType {
			return nil, 0, nil
		}
		if err != nil {
			return nil, 0, fmt.Errorf("reading %q: %w", key, err)
		}
		members := make([]member, 0, len(pairs)/2)
		for i := 0; i+1 < len(pairs); i += 2 {
			ms, _ := strconv.ParseFloat(pairs[i+1], 64)
			members = append(members, member{pairs[i], time.UnixMilli(int64(ms))})
		}
		return members, next, nil
	}
	return redisconn.WalkPages(ctx, fetch, func(members []member) error {
		if len(members) == 0 {
			return nil
		}
		return visit(members)
	})
}
