package buffer

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/streamkeeper/streamkeeper/internal/redisconn"
)

// sessionPage is the most sessions in a page; see [redisconn.Pager].
const sessionPage = 200

// WalkSessions visits every session in every layout that is in use, a page at
// a time, in no order; a session may come twice if the registry changes
// meanwhile. The page is the visitor's only during the call. An error means
// that the walk is not complete, so nothing may be concluded from what was
// not seen.
func (b *Buffer) WalkSessions(ctx context.Context, visit func([]Session) error) error {
	if err := b.WalkHashSessions(ctx, visit); err != nil {
		return err
	}
	if b.looksFor(LayoutKeys) {
		return b.walkKeys(ctx, visit)
	}
	return nil
}

// WalkHashSessions is WalkSessions without the keys layout, which takes a
// walk of the whole keyspace.
func (b *Buffer) WalkHashSessions(ctx context.Context, visit func([]Session) error) error {
	if !b.looksFor(LayoutObject) && !b.looksFor(LayoutFields) {
		return nil
	}
	var page []Session
	var flat fieldsPage
	return walkPages(ctx, b.fetchHash(), func(pairs []string) error {
		page, flat = page[:0], flat.reset()
		for i := 0; i+1 < len(pairs); i += 2 {
			field, value := pairs[i], pairs[i+1]
			if identity, property, ok := b.isFlat(field, value); ok {
				flat.add(identity, property)
			} else if b.looksFor(LayoutObject) {
				page = append(page, objectSession(field, value))
			}
		}
		var err error
		if page, err = b.readFlat(ctx, flat, page); err != nil || len(page) == 0 {
			return err
		}
		return visit(page)
	})
}

// DetectsLayouts reports whether no layout is pinned, so that the keyspace
// need not be walked each time.
func (b *Buffer) DetectsLayouts() bool { return len(b.layouts) == 0 }

func (b *Buffer) looksFor(l Layout) bool {
	return b.DetectsLayouts() || slices.Contains(b.layouts, l)
}

// fetchHash reads the one Hash of the object and fields layouts page by page.
func (b *Buffer) fetchHash() func(ctx context.Context, cursor uint64) ([]string, uint64, error) {
	pages := redisconn.NewPager(b.maxStall, sessionPage)
	return func(ctx context.Context, cursor uint64) ([]string, uint64, error) {
		started := time.Now()
		pairs, next, err := b.rdb.HScan(ctx, b.names.Sessions, cursor, "", int64(pages.Count())).Result()
		if err != nil {
			return nil, 0, fmt.Errorf("reading the sessions in %q: %w", b.names.Sessions, err)
		}
		took, bytes := time.Since(started), 0
		for _, text := range pairs {
			bytes += len(text)
		}
		pages.Took(took, len(pairs)/2, bytes)
		return pairs, next, nil
	}
}

// isFlat decides whether a field of the Hash belongs to the fields layout.
func (b *Buffer) isFlat(field, value string) (identity, property string, ok bool) {
	if !b.looksFor(LayoutFields) {
		return "", "", false
	}
	identity, property, ok = cutField(field)
	if ok && b.looksFor(LayoutObject) && looksLikeEntry(value) {
		return "", "", false
	}
	return identity, property, ok
}

// fieldsPage gathers the fields of the fields layout that came in one page: a
// session's are scattered over many.
type fieldsPage struct {
	identities []string
	// seen holds, for each identity, its properties in the page.
	seen map[string][]string
}

func (p fieldsPage) reset() fieldsPage {
	clear(p.seen)
	return fieldsPage{p.identities[:0], p.seen}
}

func (p *fieldsPage) add(identity, property string) {
	if p.seen == nil {
		p.seen = make(map[string][]string)
	}
	if _, ok := p.seen[identity]; !ok {
		p.identities = append(p.identities, identity)
	}
	p.seen[identity] = append(p.seen[identity], property)
}

// readFlat reads the sessions whose turn it is. A session is visited when the
// walk comes upon its first property in the order of sessionFields, so that it
// is visited once although its fields come in several pages.
func (b *Buffer) readFlat(ctx context.Context, flat fieldsPage, page []Session) ([]Session, error) {
	identities, err := b.withoutLaterTurn(ctx, flat)
	if err != nil || len(identities) == 0 {
		return page, err
	}
	// All but the Session JSON, which may be big and comes last anyway.
	ask := sessionFields[:len(sessionFields)-1]
	pipe := b.rdb.Pipeline()
	cmds := make([]*redis.SliceCmd, len(identities))
	for i, identity := range identities {
		fields := make([]string, len(ask))
		for k, property := range ask {
			fields[k] = identity + ":" + property
		}
		cmds[i] = pipe.HMGet(ctx, b.names.Sessions, fields...)
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return nil, fmt.Errorf("reading the sessions in %q: %w", b.names.Sessions, err)
	}
	for i, identity := range identities {
		if values := cmds[i].Val(); isTurn(values, flat.seen[identity]) {
			page = append(page, flatSession(identity, LayoutFields, values))
		}
	}
	return page, nil
}

// withoutLaterTurn leaves out, at little cost, the sessions whose turn comes
// with another page: those that have a stream's name, and not in this one.
func (b *Buffer) withoutLaterTurn(ctx context.Context, flat fieldsPage) ([]string, error) {
	var now, maybe []string
	for _, identity := range flat.identities {
		if slices.Contains(flat.seen[identity], fieldStream) {
			now = append(now, identity)
		} else {
			maybe = append(maybe, identity)
		}
	}
	if len(maybe) == 0 {
		return now, nil
	}
	pipe := b.rdb.Pipeline()
	cmds := make([]*redis.BoolCmd, len(maybe))
	for i, identity := range maybe {
		cmds[i] = pipe.HExists(ctx, b.names.Sessions, identity+":"+fieldStream)
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return nil, fmt.Errorf("reading the sessions in %q: %w", b.names.Sessions, err)
	}
	for i, identity := range maybe {
		if !cmds[i].Val() {
			now = append(now, identity)
		}
	}
	return now, nil
}

// isTurn reports whether the page held the first property that the session has.
func isTurn(values []any, seen []string) bool {
	for i, value := range values {
		if value != nil {
			return slices.Contains(seen, sessionFields[i])
		}
	}
	// Nothing but the Session JSON, or gone meanwhile.
	return slices.Contains(seen, fieldJSON)
}

// flatSession makes a session of its values in the order of sessionFields.
func flatSession(identity string, layout Layout, values []any) Session {
	s := Session{Identity: identity, Layout: layout}
	stream := newOptional(values[0])
	s.Stream, s.HasStream = stream.text, stream.set
	s.setTime(newOptional(values[1]), newOptional(values[2]))
	s.ID = newOptional(values[3]).text
	return s
}

// walkKeys scans the keyspace of every master for one Hash a session.
func (b *Buffer) walkKeys(ctx context.Context, visit func([]Session) error) error {
	return walkKeyspace(ctx, b, b.names.SessionPrefix(), "hash", b.readKeys, visit)
}

// readKeys reads the sessions of one page of keys; one that has expired
// meanwhile, or is no Hash any more, is left out. In a cluster a key may have
// left the node where it was found.
func (b *Buffer) readKeys(ctx context.Context, keys []string) ([]Session, error) {
	prefix := b.names.SessionPrefix()
	pipe := b.rdb.Pipeline()
	cmds := make([]*redis.SliceCmd, len(keys))
	for i, key := range keys {
		cmds[i] = pipe.HMGet(ctx, key, sessionFields[:readFields]...)
	}
	// Every command holds its own error.
	_, _ = pipe.Exec(ctx)
	page := make([]Session, 0, len(keys))
	for i, key := range keys {
		values, err := cmds[i].Result()
		if err == nil && !slices.ContainsFunc(values, func(v any) bool { return v != nil }) {
			var n int64
			if n, err = b.rdb.Exists(ctx, key).Result(); err == nil && n == 0 {
				continue
			}
		}
		if ClassOf(err) == ClassWrongType {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("reading session key %s: %w", Quote(key), err)
		}
		page = append(page, flatSession(strings.TrimPrefix(key, prefix), LayoutKeys, values))
	}
	return page, nil
}
