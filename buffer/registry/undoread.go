package registry

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/streamkeeper/streamkeeper/internal/redisconn"
)

// This file reads the copies of expired sessions.

// copyOfEntry reads the copy of a session of the shared Hash.
func (r *Registry) copyOfEntry(e redis.XMessage) (c Copy, ok bool) {
	text := func(name string) string {
		value, _ := e.Values[name].(string)
		return value
	}
	c = Copy{Identity: text("n"), Layout: Layout(text("l")), entry: e.ID}
	ms, _, _ := strings.Cut(e.ID, "-")
	c.Expired = msTime(ms)
	for left := range strings.SplitSeq(text("e"), ",") {
		if d := time.Duration(number(left)) * time.Millisecond; d > 0 && (c.Left == 0 || d < c.Left) {
			c.Left = d
		}
	}
	l, _ := find(c.Layout)
	hash, ok := l.(hashLayout)
	if !ok || !r.looksFor(l) {
		return c, false
	}
	stream := hash.copiedStream(c.Identity, func(name string) optional { return newOptional(e.Values["="+name]) })
	c.Stream, c.HasStream = stream.text, stream.set
	return c, true
}

// copyPage is how many copies of the shared Hash are read at once; they may be big.
const copyPage = 50

// walkHashCopies visits the copies of the shared Hash, the newest first.
func (r *Registry) walkHashCopies(ctx context.Context, visit func(Copy) error) error {
	key, _, ok := r.aside(r.o.Key)
	if !ok || !r.looksForAny(false) {
		return nil
	}
	newest := ""
	for end := "+"; ; {
		page, err := r.conn.Client().XRevRangeN(ctx, key, end, "-", copyPage).Result()
		if isWrongType(err) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("reading the copies of expired sessions: %w", err)
		}
		for _, e := range page {
			newest = cmp.Or(newest, e.ID)
			if c, ok := r.copyOfEntry(e); ok {
				c.newest = newest
				if err := visit(c); err != nil {
					return err
				}
			}
		}
		if len(page) < copyPage {
			return nil
		}
		end = "(" + page[len(page)-1].ID
	}
}

// maxCountScans bounds how long keys of copies are counted: where there are more keys than
// so many calls visit, the copies are not what matters.
const maxCountScans = 20

// CountCopies counts the keys of copies of sessions, and of notes that sessions were put
// back. What may not be asked for is not counted.
func (r *Registry) CountCopies(ctx context.Context) (keys int64) {
	client := r.conn.Client()
	if !r.looksForAny(true) {
		copied, note, _ := r.aside(r.o.Key)
		return client.Exists(ctx, copied).Val() + client.Exists(ctx, note).Val()
	}
	cursor := uint64(0)
	for range maxCountScans {
		page, next, err := client.Scan(ctx, cursor, redisconn.EscapeGlob(r.o.State)+"*", countScan).Result()
		if err != nil {
			return keys
		}
		for _, key := range page {
			if strings.HasPrefix(key, r.o.State+StateCopies) || strings.HasPrefix(key, r.o.State+StatePutBack) {
				keys++
			}
		}
		if cursor = next; cursor == 0 {
			return keys
		}
	}
	return keys
}

// countScan is how many keys one of these calls visits.
const countScan = 1000

// CopiesOf visits the copies of identities, the newest of each layout first.
func (r *Registry) CopiesOf(ctx context.Context, identities []string, visit func(Copy) error) error {
	for part := range slices.Chunk(identities, existBatch) {
		var keys []string
		for _, identity := range part {
			for _, key := range r.ownKeys(identity) {
				if copied, _, ok := r.aside(key); ok {
					keys = append(keys, copied)
				}
			}
		}
		found, err := r.readKeyCopies(ctx, keys)
		if err != nil {
			return err
		}
		if err := eachOfOurs(found, visit); err != nil {
			return err
		}
	}
	return r.walkHashCopies(ctx, func(c Copy) error {
		if !slices.Contains(identities, c.Identity) {
			return nil
		}
		return visit(c)
	})
}

// WalkCopies visits all copies; of one identity and layout the newest first.
func (r *Registry) WalkCopies(ctx context.Context, visit func(Copy) error) error {
	if err := r.walkHashCopies(ctx, visit); err != nil || !r.looksForAny(true) {
		return err
	}
	return r.walkKeyCopies(ctx, func(page []Copy) error { return eachOfOurs(page, visit) })
}

func eachOfOurs(copies []Copy, visit func(Copy) error) error {
	for _, c := range copies {
		if c.Layout == "" {
			continue
		}
		if err := visit(c); err != nil {
			return err
		}
	}
	return nil
}

// walkKeyCopies visits the copies of keys, page by page.
func (r *Registry) walkKeyCopies(ctx context.Context, visit func([]Copy) error) error {
	return redisconn.WalkKeyspace(ctx, r.conn, []string{r.o.State + StateCopies}, "hash", r.readKeyCopies, visit)
}

// readKeyCopies reads the copies at keys; what is none is left out. Those of another
// SESSIONS_KEY, or of a layout that is not looked for, have no layout: they only
// count for what copies take.
func (r *Registry) readKeyCopies(ctx context.Context, keys []string) ([]Copy, error) {
	pipe := r.conn.Client().Pipeline()
	cmds := make([]*redis.SliceCmd, len(keys))
	for i, key := range keys {
		cmds[i] = pipe.HMGet(ctx, key, propStream, copyField)
	}
	if pipe.Len() == 0 {
		return nil, nil
	}
	// Every command holds its own error.
	_, _ = pipe.Exec(ctx)
	var copies []Copy
	for i, cmd := range cmds {
		values, err := cmd.Result()
		if isWrongType(err) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("reading the copies of expired sessions: %w", err)
		}
		c, ok := copyOfKey(values)
		if !ok {
			continue
		}
		c.key = keys[i]
		if key, ok := r.copiedKey(keys[i]); ok {
			if l, identity, ok := ownerOf(layouts, r.o.Key, key); ok && r.looksFor(l) {
				c.Identity, c.Layout = identity, l.name()
			}
		}
		copies = append(copies, c)
	}
	return copies, nil
}
