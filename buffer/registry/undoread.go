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

// copyOfKey reads the copy of a key; the stream's name and what [copyField] holds.
func copyOfKey(identity string, values []any) (c Copy, ok bool) {
	text, _ := values[1].(string)
	meta, ok := copyMetaOf(text)
	if !ok {
		return Copy{}, false
	}
	stream := newOptional(values[0])
	return Copy{
		Identity: identity, Layout: Keys, Stream: stream.text, HasStream: stream.set,
		Expired: time.UnixMilli(meta.at).UTC(), Left: time.Duration(max(0, meta.left)) * time.Millisecond,
		meta: text, bytes: meta.bytes,
	}, true
}

// copyOfEntry reads the copy of a session of the shared Hash.
func copyOfEntry(e redis.XMessage) (c Copy, ok bool) {
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
	switch c.Layout {
	case Object:
		s := objectSession(c.Identity, text("="))
		c.Stream, c.HasStream = s.Stream, s.HasStream
	case Fields:
		stream := newOptional(e.Values["="+propStream])
		c.Stream, c.HasStream = stream.text, stream.set
	default:
		return c, false
	}
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
			if c, ok := copyOfEntry(e); ok && r.looksFor(of(Session{Layout: c.Layout})) {
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

// CopiesOf visits the copies of identities, the newest of each layout first.
func (r *Registry) CopiesOf(ctx context.Context, identities []string, visit func(Copy) error) error {
	for part := range slices.Chunk(identities, existBatch) {
		var keys []string
		for _, identity := range part {
			if key, _, ok := r.aside(r.prefix() + identity); ok && r.looksForAny(true) {
				keys = append(keys, key)
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
	return redisconn.WalkKeyspace(ctx, r.conn, r.o.State+StateCopies, "hash", r.readKeyCopies, visit)
}

// readKeyCopies reads the copies at keys; what is none is left out. Those of another
// SESSIONS_KEY have no layout: they only count for what copies take.
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
		key, ok := r.copiedKey(keys[i])
		identity, of := strings.CutPrefix(key, r.prefix())
		c, is := copyOfKey(identity, values)
		if !is {
			continue
		}
		if c.key = keys[i]; !ok || !of {
			c.Layout = "" // of another SESSIONS_KEY
		}
		copies = append(copies, c)
	}
	return copies, nil
}
