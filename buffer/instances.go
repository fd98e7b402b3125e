package buffer

import (
	"context"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/streamkeeper/streamkeeper/internal/redisconn"
)

// stateInstances is a Hash of the daemons at work: when the note of each ends,
// and what it works on.
const stateInstances = "instances"

// InstanceTTL is how long a daemon's note of itself stays; it is renewed three
// times as often.
const InstanceTTL = 3 * time.Minute

// Instance is the note of a daemon.
type Instance struct {
	Name string `json:"-"`
	// Work is a hash of the keys, patterns and database that it works with: those
	// that share a STATE_PREFIX are to have the same.
	Work string `json:"work"`
	// Leads says that it is the one that works, and Jobs are what it does.
	Leads bool            `json:"leads"`
	Jobs  []JobOfInstance `json:"jobs,omitempty"`
}

// JobOfInstance is when a job of an instance last went well, zero for never, and
// whether that is too long ago.
type JobOfInstance struct {
	Name        string    `json:"name"`
	LastSuccess time.Time `json:"last_success,omitzero"`
	Overdue     bool      `json:"overdue,omitempty"`
}

func workOf(names Names, o Options) string {
	h := fnv.New64a()
	_, _ = fmt.Fprintf(h, "%d %d", scopeOf(names, o), o.Connection.Database())
	return fmt.Sprintf("%016x", h.Sum64())
}

// noteInstanceScript notes one daemon, and lets the notes go that have ended.
//
// KEYS[1] Hash; ARGV name, note, ms until the note ends
var noteInstanceScript = redisconn.NewScript(`
local t = redis.call('TIME')
local ms = t[1] * 1000 + math.floor(t[2] / 1000)
local notes = redis.call('HGETALL', KEYS[1])
for i = 1, #notes, 2 do
  if (tonumber(string.match(notes[i + 1], '^%d+')) or 0) < ms then redis.call('HDEL', KEYS[1], notes[i]) end
end
redis.call('HSET', KEYS[1], ARGV[1], string.format('%.0f', ms + ARGV[3]) .. ' ' .. ARGV[2])
return redis.call('PEXPIRE', KEYS[1], ARGV[3])
`)

// NoteInstance notes that a daemon works with this buffer, and how it fares. Where
// Redis has no memory for the note, or its key holds something else, it is left
// out.
func (b *Buffer) NoteInstance(ctx context.Context, i Instance) error {
	i.Work = b.work
	note, err := json.Marshal(i)
	if err != nil {
		return fmt.Errorf("noting this instance: %w", err)
	}
	call := redisconn.Call{Keys: []string{b.stateKey(stateInstances)}, Args: []any{noteOf(i.Name), string(note), InstanceTTL.Milliseconds()}}
	err = b.conn.EvalWrite(ctx, noteInstanceScript, []redisconn.Call{call})[0].Err()
	if err != nil && !takesNoNote(err) {
		return fmt.Errorf("noting this instance: %w", err)
	}
	return nil
}

// ForgetInstance takes the note of a daemon back that ends.
func (b *Buffer) ForgetInstance(ctx context.Context, name string) error {
	err := b.rdb.HDel(ctx, b.stateKey(stateInstances), noteOf(name)).Err()
	if err != nil && !takesNoNote(err) {
		return fmt.Errorf("taking the note of this instance back: %w", err)
	}
	return nil
}

// Instances are the daemons that have noted themselves, in the order of their
// names.
func (b *Buffer) Instances(ctx context.Context) ([]Instance, error) {
	now, err := b.Time(ctx)
	if err != nil {
		return nil, err
	}
	notes, err := b.rdb.HGetAll(ctx, b.stateKey(stateInstances)).Result()
	if redisconn.ClassOf(err) == redisconn.ClassWrongType {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading which instances are at work: %w", err)
	}
	var all []Instance
	for name, note := range notes {
		if i, ok := parseInstance(name, note, now); ok {
			all = append(all, i)
		}
	}
	slices.SortFunc(all, func(a, b Instance) int { return strings.Compare(a.Name, b.Name) })
	return all, nil
}

// parseInstance reads a note; ok is false if it has ended, or is none.
func parseInstance(name, note string, now time.Time) (i Instance, ok bool) {
	end, text, _ := strings.Cut(note, " ")
	until, err := strconv.ParseInt(end, 10, 64)
	if err != nil || until < now.UnixMilli() || json.Unmarshal([]byte(text), &i) != nil {
		return Instance{}, false
	}
	i.Name = name
	return i, true
}

// LeaseState is the lease as it lies in Redis.
type LeaseState struct {
	// Type of its key: "none" where nobody holds it, "string" as it should be.
	Type string
	// Endless: it would never end by itself.
	Endless bool
}

// State looks at the lease.
func (l Lease) State(ctx context.Context) (LeaseState, error) {
	kind, err := l.b.rdb.Type(ctx, l.key()).Result()
	if err != nil {
		return LeaseState{}, fmt.Errorf("looking at the lease: %w", err)
	}
	left, err := l.b.rdb.PTTL(ctx, l.key()).Result()
	if err != nil {
		return LeaseState{}, fmt.Errorf("looking at the lease: %w", err)
	}
	return LeaseState{Type: kind, Endless: kind != "none" && (left == -1 || left > maxLease)}, nil
}
