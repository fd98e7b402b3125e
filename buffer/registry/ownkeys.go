package registry

import (
	"context"
	"slices"
	"strings"

	"github.com/streamkeeper/streamkeeper/internal/redisconn"
)

// This file says which keys are those of sessions, and finds them.

// keyNames are how a layout names the keys of its sessions: what stands between the
// key of the shared Hash and the identity, and after it.
type keyNames struct{ before, after string }

// key is that of a session.
func (n keyNames) key(sessions, identity string) string {
	return sessions + n.before + identity + n.after
}

// identity is that of the session whose key it is.
func (n keyNames) identity(sessions, key string) (identity string, ok bool) {
	rest, begins := strings.CutPrefix(key, sessions+n.before)
	identity, ends := strings.CutSuffix(rest, n.after)
	return identity, begins && ends
}

// foundKey is a key of a session, and the session's identity.
type foundKey struct{ key, identity string }

// ownerOf is the one among layouts whose key it is, and the session's identity. The
// first that claims a key has it, so that it belongs to one.
func ownerOf(among []layout, sessions, key string) (l keyLayout, identity string, ok bool) {
	for _, l := range among {
		if l, ok := l.(keyLayout); ok {
			if identity, ok := l.keyNames().identity(sessions, key); ok {
				return l, identity, true
			}
		}
	}
	return nil, "", false
}

// KeyOf is the key at which a session lies, its own or that of the shared Hash, which
// is given.
func (l Layout) KeyOf(sessions, identity string) string {
	if l, ok := named(l).(keyLayout); ok {
		return l.keyNames().key(sessions, identity)
	}
	return sessions
}

// mayHave reports whether a session of that identity may be a layout's: the key that
// it would have may be another's.
func (r *Registry) mayHave(l layout, identity string) bool {
	if !l.name().HasOwnKey() {
		return true
	}
	owner, _, _ := ownerOf(layouts, r.o.Key, r.key(l.name(), identity))
	return owner.name() == l.name()
}

// KeyPrefixes are what the keys of sessions begin with, in the layouts that have one
// for each, given the key of the shared Hash.
func KeyPrefixes(sessions string) []string { return New(nil, Options{Key: sessions}).keyPrefixes() }

// keyPrefixes are those of the layouts in which sessions are looked for.
func (r *Registry) keyPrefixes() []string {
	var prefixes []string
	for _, l := range layouts {
		if l, ok := l.(keyLayout); ok && r.looksFor(l) {
			if prefix := r.o.Key + l.keyNames().before; !slices.Contains(prefixes, prefix) {
				prefixes = append(prefixes, prefix)
			}
		}
	}
	return prefixes
}

// key is that at which a session lies.
func (r *Registry) key(l Layout, identity string) string { return l.KeyOf(r.o.Key, identity) }

// ownKeys are the keys that a session of that identity may have.
func (r *Registry) ownKeys(identity string) (keys []string) {
	for _, s := range r.Anywhere(identity) {
		if s.HasOwnKey() {
			keys = append(keys, r.key(s.Layout, identity))
		}
	}
	return keys
}

// walkKeySessions visits the sessions that have keys of their own, in one scan of the
// keyspace for all layouts.
func (r *Registry) walkKeySessions(ctx context.Context, visit func([]Session) error) error {
	prefixes := r.keyPrefixes()
	if len(prefixes) == 0 {
		return nil
	}
	ttls, err := r.fieldTTLs(ctx)
	if err != nil {
		return err
	}
	read := func(ctx context.Context, keys []string) ([]Session, error) {
		page, err := r.readKeys(ctx, keys)
		for i := range page {
			page[i].mayEnd = ttls != noFieldTTL
		}
		return page, err
	}
	return redisconn.WalkKeyspace(ctx, r.conn, prefixes, "", read, visit)
}

// readKeys reads the sessions of one page of keys, each in the layout that has it.
func (r *Registry) readKeys(ctx context.Context, keys []string) ([]Session, error) {
	found := make(map[Layout][]foundKey)
	for _, key := range keys {
		if l, identity, ok := ownerOf(layouts, r.o.Key, key); ok && r.looksFor(l) {
			found[l.name()] = append(found[l.name()], foundKey{key, identity})
		}
	}
	var page []Session
	for _, l := range layouts {
		if l, ok := l.(keyLayout); ok && len(found[l.name()]) > 0 {
			sessions, err := l.read(ctx, r, found[l.name()])
			if err != nil {
				return nil, err
			}
			page = append(page, sessions...)
		}
	}
	return page, r.describe(ctx, page)
}
