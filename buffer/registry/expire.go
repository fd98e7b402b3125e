package registry

import (
	"context"
	"fmt"
	"slices"

	"github.com/redis/go-redis/v9"

	"github.com/streamkeeper/streamkeeper/internal/redisconn"
)

// Bounds of one call that removes sessions: it then takes about 0.1 ms.
const (
	expireEntries = 32
	expireBytes   = 128 << 10
)

// Expire removes sessions, each only if it was not updated since it was read, nor
// put back: the server compares. It keeps a copy of each that it removes, where one
// is wanted and can be kept. After an error, not all were tried.
func (r *Registry) Expire(ctx context.Context, sessions []Session, how Expiring) ([]Expiry, error) {
	ended := make([]Expiry, len(sessions))
	err := eachLayout(sessions, func(l layout, indexes []int) error {
		// What is foreign or malformed stays, whoever asks for it.
		indexes = slices.DeleteFunc(indexes, func(i int) bool { return sessions[i].Foreign || sessions[i].Malformed != nil })
		for len(indexes) > 0 {
			n := expireChunk(sessions, indexes)
			done, err := l.expire(ctx, r, pick(sessions, indexes[:n]), how)
			for k, i := range indexes[:n] {
				ended[i] = done[k]
			}
			if err != nil {
				return fmt.Errorf("removing sessions of the %s layout: %w", l.name(), err)
			}
			indexes = indexes[n:]
		}
		return nil
	})
	return ended, err
}

// expireChunk is how many of the sessions go into one call.
func expireChunk(sessions []Session, indexes []int) int {
	bytes := 0
	for n, i := range indexes {
		bytes += len(sessions[i].Identity) + len(sessions[i].value)
		if n > 0 && (n == expireEntries || bytes > expireBytes) {
			return n
		}
	}
	return len(indexes)
}

// expireInHash removes entries of the shared Hash in one call. A key of another
// type holds none.
func (r *Registry) expireInHash(ctx context.Context, s redisconn.Script, sessions []Session, how Expiring, args []any) (done string, err error) {
	ttl := slices.ContainsFunc(sessions, func(s Session) bool { return s.mayEnd })
	call := redisconn.Call{Keys: r.withAside(r.o.Key), Args: append(how.args(ttl), args...)}
	done, err = r.conn.EvalWrite(ctx, s, []redisconn.Call{call})[0].Text()
	if isWrongType(err) {
		return "", nil
	}
	if err == nil && len(done) != len(sessions) {
		err = fmt.Errorf("%w: %d outcomes of %d sessions", redisconn.ErrIncomplete, len(done), len(sessions))
	}
	return done, err
}

// outcomes reads the outcome of a call: for each session 1 if it was removed and a
// copy is kept, 3 if it was removed without one.
func outcomes(done string, n int) []Expiry {
	all := make([]Expiry, n)
	for i := range min(len(done), n) {
		all[i] = Expiry{Removed: done[i] == '1' || done[i] == '3', Copied: done[i] == '1'}
	}
	return all
}

// existBatch is how many sessions are looked for in one pipeline.
const existBatch = 500

// SessionsExist reports whether one of the sessions is in the registry, in
// whatever state.
func (r *Registry) SessionsExist(ctx context.Context, sessions []Session) (bool, error) {
	for part := range slices.Chunk(sessions, existBatch) {
		pipe := r.conn.Client().Pipeline()
		var found []func() bool
		for _, s := range part {
			found = append(found, r.exists(ctx, pipe, s)...)
		}
		if _, err := pipe.Exec(ctx); err != nil {
			return false, fmt.Errorf("looking for %d sessions once more: %w", len(part), err)
		}
		if slices.ContainsFunc(found, func(f func() bool) bool { return f() }) {
			return true, nil
		}
	}
	return false, nil
}

// exists asks, in a pipeline, for each thing that shows that a session is there.
func (r *Registry) exists(ctx context.Context, p redis.Pipeliner, s Session) (found []func() bool) {
	if l, ok := of(s).(hashLayout); ok {
		for _, field := range l.signs(s.Identity) {
			found = append(found, p.HExists(ctx, r.o.Key, field).Val)
		}
		return found
	}
	cmd := p.Exists(ctx, r.key(s.Layout, s.Identity))
	return append(found, func() bool { return cmd.Val() > 0 })
}

// isWrongType reports whether a key holds another type than was expected.
func isWrongType(err error) bool { return redisconn.ClassOf(err) == redisconn.ClassWrongType }
