package registry

import (
	"context"
	"crypto/sha1"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/streamkeeper/streamkeeper/internal/redisconn"
)

// This file keeps copies of sessions that expire, so that they can be put back.
// A copy lies in the slot of what it copies, so that one script removes the one
// and keeps the other: the key of a session is renamed, and what shares a Hash
// gets an entry of a Stream. Beside it lies the note that a session was put back.

// Names of our own keys after the state prefix, before the name of what is copied.
const (
	// StateCopies begins the keys of copies.
	StateCopies = "undo:"
	// StatePutBack begins the keys of notes that a session was put back.
	StatePutBack = "undone:"
)

// aside are the keys beside one of the producers': of its copy, and of the note
// that it was put back. It reports false where a script cannot reach them, as in a
// cluster whose state prefix has braces of its own.
func (r *Registry) aside(key string) (copied, note string, ok bool) {
	tag := redisconn.TagOf(key)
	suffix := "{" + tag + "}"
	if tag != key {
		suffix += key
	}
	copied, note = r.o.State+StateCopies+suffix, r.o.State+StatePutBack+suffix
	return copied, note, r.conn.Together(key, copied) && r.conn.Together(key, note)
}

// copiedKey is what [Registry.aside] made the key of a copy of.
func (r *Registry) copiedKey(copied string) (key string, ok bool) {
	rest, ok := strings.CutPrefix(copied, r.o.State+StateCopies+"{")
	tag, key, closed := strings.Cut(rest, "}")
	if key == "" {
		key = tag
	}
	return key, ok && closed
}

// withAside are the keys of a call about one of the producers' keys.
func (r *Registry) withAside(key string) []string {
	if copied, note, ok := r.aside(key); ok {
		return []string{key, copied, note}
	}
	return []string{key}
}

// nowLua is the server's time in ms.
const nowLua = `
local now = redis.call('TIME')
now = now[1] * 1000 + math.floor(now[2] / 1000)
`

// noteLua is the member of the set of notes that stands for an identity.
const noteLua = `
local function noteOf(identity)
  if #identity > 256 then return 'sha1:' .. redis.sha1hex(identity) end
  return identity
end
`

// noteOf is the same.
func noteOf(identity string) string {
	if len(identity) <= 256 {
		return identity
	}
	sum := sha1.Sum([]byte(identity))
	return "sha1:" + hex.EncodeToString(sum[:])
}

// sizeLua is about how much memory an entry of the copies takes, given its fields
// and values.
const sizeLua = `
local function sizeOf(entry)
  local n = 64
  for _, text in ipairs(entry) do n = n + #text end
  return n
end
`

// PutBack says for each session when it was put back, zero if it was not, or too
// long ago to matter.
func (r *Registry) PutBack(ctx context.Context, sessions []Session) ([]time.Time, error) {
	at := make([]time.Time, len(sessions))
	var shared, own []int
	for i, s := range sessions {
		if s.HasOwnKey() {
			own = append(own, i)
		} else {
			shared = append(shared, i)
		}
	}
	if err := r.putBackInHash(ctx, sessions, shared, at); err != nil {
		return nil, err
	}
	for part := range slices.Chunk(own, existBatch) {
		if err := r.putBackAtKeys(ctx, sessions, part, at); err != nil {
			return nil, err
		}
	}
	return at, nil
}

func (r *Registry) putBackInHash(ctx context.Context, sessions []Session, indexes []int, at []time.Time) error {
	_, key, ok := r.aside(r.o.Key)
	if !ok || len(indexes) == 0 {
		return nil
	}
	notes := make([]string, len(indexes))
	for k, i := range indexes {
		notes[k] = noteOf(sessions[i].Identity)
	}
	// A member that is not there has score 0.
	scores, err := r.conn.Client().ZMScore(ctx, key, notes...).Result()
	if isWrongType(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("asking which sessions were put back: %w", err)
	}
	for k, i := range indexes {
		if scores[k] > 0 {
			at[i] = time.UnixMilli(int64(scores[k])).UTC()
		}
	}
	return nil
}

func (r *Registry) putBackAtKeys(ctx context.Context, sessions []Session, indexes []int, at []time.Time) error {
	pipe := r.conn.Client().Pipeline()
	cmds := make([]*redis.SliceCmd, len(indexes))
	for k, i := range indexes {
		if _, key, ok := r.aside(r.key(sessions[i].Layout, sessions[i].Identity)); ok {
			// Unlike GET, MGET takes a key of another type for none.
			cmds[k] = pipe.MGet(ctx, key)
		}
	}
	if pipe.Len() == 0 {
		return nil
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return fmt.Errorf("asking which sessions were put back: %w", err)
	}
	for k, i := range indexes {
		if cmds[k] == nil {
			continue
		}
		if text, ok := cmds[k].Val()[0].(string); ok {
			at[i] = msTime(text)
		}
	}
	return nil
}

// msTime reads a time in ms; zero if it is none.
func msTime(text string) time.Time {
	ms := number(text)
	if ms <= 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}

// number reads a whole number; 0 if it is none.
func number(text string) int64 {
	n, _ := strconv.ParseInt(text, 10, 64)
	return n
}
