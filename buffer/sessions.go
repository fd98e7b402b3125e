package buffer

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/redis/go-redis/v9"
)

// Page sizes of the walks over sessions; see namePage.
const (
	sessionPage = 200
	keyPage     = 1000
)

// WalkSessions visits every session in every layout that is in use, a page at
// a time, in no order; a session may come twice if the registry changes
// meanwhile. The page is the visitor's only during the call. An error means
// that the walk is not complete, so nothing may be concluded from what was
// not seen.
func (b *Buffer) WalkSessions(ctx context.Context, visit func([]Session) error) error {
	if b.looksFor(LayoutObject) || b.looksFor(LayoutFields) {
		if err := b.walkHash(ctx, visit); err != nil {
			return err
		}
	}
	if b.looksFor(LayoutKeys) {
		return b.walkKeys(ctx, visit)
	}
	return nil
}

func (b *Buffer) looksFor(l Layout) bool {
	return len(b.layouts) == 0 || slices.Contains(b.layouts, l)
}

// walkHash reads the one Hash of the object and fields layouts.
func (b *Buffer) walkHash(ctx context.Context, visit func([]Session) error) error {
	fetch := func(ctx context.Context, cursor uint64) ([]string, uint64, error) {
		pairs, next, err := b.rdb.HScan(ctx, b.names.Sessions, cursor, "", sessionPage).Result()
		if err != nil {
			return nil, 0, fmt.Errorf("reading the sessions in %q: %w", b.names.Sessions, err)
		}
		return pairs, next, nil
	}
	var page []Session
	var flat fieldsPage
	return walkPages(ctx, fetch, func(pairs []string) error {
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
		if page, err = b.readFlat(ctx, flat, page); err != nil {
			return err
		}
		return visit(page)
	})
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
	if len(flat.identities) == 0 {
		return page, nil
	}
	pipe := b.rdb.Pipeline()
	cmds := make([]*redis.SliceCmd, len(flat.identities))
	for i, identity := range flat.identities {
		cmds[i] = pipe.HMGet(ctx, b.names.Sessions, identity+":"+fieldUpdated, identity+":"+fieldUpdatedOld,
			identity+":"+fieldStream, identity+":"+fieldID)
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return nil, fmt.Errorf("reading the sessions in %q: %w", b.names.Sessions, err)
	}
	for i, identity := range flat.identities {
		values := cmds[i].Val()
		if !isTurn(values, flat.seen[identity]) {
			continue
		}
		page = append(page, flatSession(identity, LayoutFields, values))
	}
	return page, nil
}

// isTurn reports whether the page held the first property that the session has.
func isTurn(values []any, seen []string) bool {
	for i, value := range values {
		if value != nil {
			return slices.Contains(seen, sessionFields[i])
		}
	}
	// None of the four that are read: any other will do, at worst twice.
	return true
}

// flatSession makes a session of its four values in the order of sessionFields.
func flatSession(identity string, layout Layout, values []any) Session {
	s := Session{Identity: identity, Layout: layout}
	s.setTime(newOptional(values[0]), newOptional(values[1]))
	stream := newOptional(values[2])
	s.Stream, s.HasStream = stream.text, stream.set
	s.ID = newOptional(values[3]).text
	return s
}

// walkKeys scans the keyspace of every master for one Hash a session.
func (b *Buffer) walkKeys(ctx context.Context, visit func([]Session) error) error {
	prefix := b.names.SessionPrefix()
	match := escapeGlob(prefix) + "*"
	return b.masters(ctx, func(ctx context.Context, node *redis.Client) error {
		fetch := func(ctx context.Context, cursor uint64) ([]Session, uint64, error) {
			keys, next, err := node.ScanType(ctx, cursor, match, keyPage, "hash").Result()
			if err != nil {
				return nil, 0, fmt.Errorf("looking for session keys %q: %w", match, err)
			}
			page, err := readKeys(ctx, node, prefix, keys)
			return page, next, err
		}
		return walkPages(ctx, fetch, func(page []Session) error {
			if len(page) == 0 {
				return nil
			}
			return visit(page)
		})
	})
}

// readKeys reads the sessions of one page of keys; one that has expired
// meanwhile is left out.
func readKeys(ctx context.Context, node *redis.Client, prefix string, keys []string) ([]Session, error) {
	if len(keys) == 0 {
		return nil, nil
	}
	pipe := node.Pipeline()
	cmds := make([]*redis.SliceCmd, len(keys))
	for i, key := range keys {
		cmds[i] = pipe.HMGet(ctx, key, fieldUpdated, fieldUpdatedOld, fieldStream, fieldID)
	}
	if _, err := pipe.Exec(ctx); err != nil && (IsLost(err) || ClassOf(err) != ClassWrongType) {
		return nil, fmt.Errorf("reading %d session keys: %w", len(keys), err)
	}
	page := make([]Session, 0, len(keys))
	for i, key := range keys {
		values, err := cmds[i].Result()
		if err != nil || slices.Equal(values, []any{nil, nil, nil, nil}) && node.Exists(ctx, key).Val() == 0 {
			continue
		}
		page = append(page, flatSession(strings.TrimPrefix(key, prefix), LayoutKeys, values))
	}
	return page, nil
}
