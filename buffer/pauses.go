package buffer

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/streamkeeper/streamkeeper/internal/redisconn"
)

// statePauses is a Hash of the pauses that hold: when each ends, and what it
// stops.
const statePauses = "pauses"

// Bounds of a pause.
const (
	// LongestPause is how long a pause may last: one that is forgotten ends.
	LongestPause = 30 * 24 * time.Hour
	// ShortestPause is how short it may be.
	ShortestPause = time.Second
	// MaxPauses is how many there may be at once.
	MaxPauses = 100
)

// ErrNoSuchPause is returned where a pause that is to end is not there.
var ErrNoSuchPause = errors.New("no such pause")

// Pause stops jobs from removing anything until it ends.
type Pause struct {
	ID string `json:"-"`
	// Since and Until are by Redis's clock.
	Since time.Time `json:"-"`
	Until time.Time `json:"-"`
	// Job is the one that it stops, empty for every one that removes.
	Job string `json:"job,omitempty"`
	// Pattern, as [ParsePattern] reads it, chooses the streams that it is for;
	// empty for all there is. The bytes are escaped in the note.
	Pattern string `json:"stream,omitempty"`
	Reason  string `json:"reason,omitempty"`

	pattern Pattern
}

// Check says what is wrong with a pause that is to be noted.
func (p Pause) Check(length time.Duration) error {
	switch {
	case length < ShortestPause, length > LongestPause:
		return fmt.Errorf("a pause of %s; allowed: 1s to 30d", length)
	case len(Escape(p.Pattern)) > MaxNote:
		return fmt.Errorf("the pattern of streams has %d bytes; allowed: %d", len(Escape(p.Pattern)), MaxNote)
	case len(Escape(p.Reason)) > MaxNote:
		return fmt.Errorf("the reason has %d bytes; allowed: %d", len(Escape(p.Reason)), MaxNote)
	}
	if p.Pattern == "" {
		return nil
	}
	_, err := ParsePattern(p.Pattern)
	return err
}

// pauseScript notes a pause, and lets those go that have ended. Its first command
// takes no memory and makes Redis carry out the others even at maxmemory: a pause
// takes a few hundred bytes, and then it is needed most.
//
// KEYS[1] Hash; ARGV id, note, ms until the pause ends, how many there may be
// returns {when it begins, when it ends}, or {0} if there are too many
var pauseScript = redisconn.NewScript(`
redis.call('HDEL', KEYS[1], '')
local t = redis.call('TIME')
local ms = t[1] * 1000 + math.floor(t[2] / 1000)
local notes = redis.call('HGETALL', KEYS[1])
local there, last = 0, ms + ARGV[3]
for i = 1, #notes, 2 do
  local ends = tonumber(string.match(notes[i + 1], '^%d+')) or 0
  if ends < ms then redis.call('HDEL', KEYS[1], notes[i])
  else
    there = there + 1
    if ends > last then last = ends end
  end
end
if there >= tonumber(ARGV[4]) then return {0} end
redis.call('HSET', KEYS[1], ARGV[1], string.format('%.0f %.0f ', ms + ARGV[3], ms) .. ARGV[2])
redis.call('PEXPIRE', KEYS[1], string.format('%.0f', last - ms))
return {ms, ms + ARGV[3]}
`)

// Pause notes a pause of a length, and returns it with its id and its times.
func (b *Buffer) Pause(ctx context.Context, p Pause, length time.Duration) (Pause, error) {
	if err := p.Check(length); err != nil {
		return Pause{}, err
	}
	var random [4]byte
	_, _ = rand.Read(random[:]) // it never fails
	p.ID = hex.EncodeToString(random[:])
	noted := p
	noted.Pattern, noted.Reason = Escape(p.Pattern), Escape(p.Reason)
	note, err := json.Marshal(noted)
	if err != nil {
		return Pause{}, fmt.Errorf("noting the pause: %w", err)
	}
	call := redisconn.OnKey(b.stateKey(statePauses), p.ID, string(note), length.Milliseconds(), MaxPauses)
	times, err := b.conn.EvalWrite(ctx, pauseScript, []redisconn.Call{call})[0].Int64Slice()
	switch {
	case redisconn.ClassOf(err) == redisconn.ClassOOM:
		return Pause{}, fmt.Errorf("nothing is paused, as Redis is out of memory and takes no note: %w", err)
	case redisconn.ClassOf(err) == redisconn.ClassWrongType:
		return Pause{}, fmt.Errorf("nothing is paused, as the key %s is no hash (remove it, or choose another STATE_PREFIX): %w", Escape(b.stateKey(statePauses)), err)
	case err != nil:
		return Pause{}, fmt.Errorf("noting the pause: %w", err)
	case len(times) == 1:
		return Pause{}, fmt.Errorf("nothing more is paused, as there are %d pauses; end some with: streamkeeper resume ID", MaxPauses)
	case len(times) != 2:
		return Pause{}, fmt.Errorf("noting the pause: %d values instead of 2", len(times))
	}
	p.Since, p.Until = time.UnixMilli(times[0]).UTC(), time.UnixMilli(times[1]).UTC()
	return p, nil
}

// Pauses are those that hold, the ones that end first before the others. What
// cannot be read is an error: nothing may be removed then.
func (b *Buffer) Pauses(ctx context.Context) (Pauses, error) {
	now, err := b.Time(ctx)
	if err != nil {
		return nil, fmt.Errorf("reading the pauses: %w", err)
	}
	notes, err := b.rdb.HGetAll(ctx, b.stateKey(statePauses)).Result()
	if err != nil {
		return nil, fmt.Errorf("reading the pauses in %s: %w", Escape(b.stateKey(statePauses)), err)
	}
	var all Pauses
	for id, note := range notes {
		p, err := parsePause(id, note)
		if err != nil {
			return nil, fmt.Errorf("reading the pauses in %s: %s: %w (streamkeeper resume ends it)", Escape(b.stateKey(statePauses)), Quote(id), err)
		}
		if p.Until.After(now) {
			all = append(all, p)
		}
	}
	slices.SortFunc(all, func(a, b Pause) int { return cmp.Or(a.Until.Compare(b.Until), strings.Compare(a.ID, b.ID)) })
	return all, nil
}

// parsePause reads a note.
func parsePause(id, note string) (p Pause, err error) {
	ends, rest, _ := strings.Cut(note, " ")
	begins, text, _ := strings.Cut(rest, " ")
	until, err := strconv.ParseInt(ends, 10, 64)
	if err != nil {
		return Pause{}, errors.New("the note does not say when the pause ends")
	}
	since, _ := strconv.ParseInt(begins, 10, 64)
	if err := json.Unmarshal([]byte(text), &p); err != nil {
		return Pause{}, fmt.Errorf("the note is no pause: %w", err)
	}
	for _, field := range []*string{&p.Pattern, &p.Reason} {
		if *field, err = Unescape(*field); err != nil {
			return Pause{}, fmt.Errorf("the note is no pause: %w", err)
		}
	}
	p.ID, p.Since, p.Until = id, time.UnixMilli(since).UTC(), time.UnixMilli(until).UTC()
	if p.Pattern != "" {
		p.pattern, err = ParsePattern(p.Pattern)
	}
	return p, err
}

// Resume ends pauses, all of them without an id, and returns those that held.
// Where one is not there, none is ended.
func (b *Buffer) Resume(ctx context.Context, ids ...string) (Pauses, error) {
	held, err := b.Pauses(ctx)
	if redisconn.ClassOf(err) == redisconn.ClassWrongType {
		return nil, err
	}
	if err != nil && len(ids) > 0 {
		return nil, err
	}
	var ended Pauses
	if len(ids) == 0 {
		ended = held
	}
	for _, id := range ids {
		i := slices.IndexFunc(held, func(p Pause) bool { return p.ID == id })
		if i < 0 {
			return nil, fmt.Errorf("%w: %s; streamkeeper pause list shows those that hold", ErrNoSuchPause, Quote(id))
		}
		ended = append(ended, held[i])
	}
	args := make([]any, len(ids))
	for i, id := range ids {
		args[i] = id
	}
	if err := b.conn.EvalWrite(ctx, resumeScript, []redisconn.Call{redisconn.OnKey(b.stateKey(statePauses), args...)})[0].Err(); err != nil {
		return nil, fmt.Errorf("ending pauses: %w", err)
	}
	return ended, nil
}

// resumeScript forgets pauses, or all. It looks at nothing but the ids, so that it
// ends notes that cannot be read, too.
//
// KEYS[1] Hash; ARGV ids
var resumeScript = redisconn.NewScript(`
local ids = ARGV
if #ids == 0 then
  local notes = redis.call('HGETALL', KEYS[1])
  for i = 1, #notes, 2 do ids[#ids + 1] = notes[i] end
end
local n = 0
for _, id in ipairs(ids) do n = n + redis.call('HDEL', KEYS[1], id) end
return n
`)

// Pauses are several, which hold side by side.
type Pauses []Pause

// Of are those that stop a job, for some streams or for all. A pause without a job
// stops those that remove.
func (ps Pauses) Of(job string, removes bool) Pauses {
	var all Pauses
	for _, p := range ps {
		if p.Job == job || p.Job == "" && removes {
			all = append(all, p)
		}
	}
	return all
}

// Whole is the pause for all streams that lasts longest; nil if there is none.
func (ps Pauses) Whole() *Pause {
	var whole *Pause
	for i := range ps {
		if ps[i].Pattern == "" {
			whole = &ps[i] // the last ends last
		}
	}
	return whole
}

// Match reports whether one of them stops what is done to a stream.
func (ps Pauses) Match(stream string) bool {
	return slices.ContainsFunc(ps, func(p Pause) bool { return p.Pattern == "" || p.pattern.Match(stream) })
}

// Jobs are those that it stops.
func (p Pause) Jobs() string { return Escape(cmp.Or(p.Job, "trim and cleanup")) }

// What says what it stops: "trim of streams rocket-*".
func (p Pause) What() string {
	what := p.Jobs()
	if p.Pattern != "" {
		what += " of streams " + Escape(p.Pattern)
	}
	return what
}

// Sentence says what it stops until when, and why.
func (p Pause) Sentence() string {
	text := fmt.Sprintf("%s paused until %s", p.What(), p.Until.Format("2006-01-02 15:04:05 MST"))
	if p.Reason != "" {
		text += " (" + Escape(p.Reason) + ")"
	}
	return text
}
