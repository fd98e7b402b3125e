package registry

import (
	"context"
	"fmt"
	"slices"

	"github.com/redis/go-redis/v9"

	"github.com/streamkeeper/streamkeeper/internal/escape"
)

// Layout is the name of one of the ways in which producers keep sessions; the
// RTA documentation can be read in all of them.
type Layout string

// layouts are all there are. Those that share one Hash stand in the order in
// which they are asked whether an entry is theirs.
var layouts = []layout{keys{}, fields{}, object{}}

// layout is one of the ways in which producers keep sessions. It is a
// [hashLayout] or a [keyLayout] too.
type layout interface {
	name() Layout
	// rights are the words of an ACL rule that it needs beside those that every
	// registry does.
	rights(Use) []string
	// expire removes sessions, each only if it is still as it was read, and keeps
	// copies where they are wanted.
	expire(ctx context.Context, r *Registry, sessions []Session, how Expiring) ([]Expiry, error)
	// exists asks, in a pipeline, for each thing that shows that a session is
	// there.
	exists(ctx context.Context, p redis.Pipeliner, r *Registry, s Session) []func() bool
	// jsons reads the Session JSON of each session; "" where there is none,
	// where it is too long, and where the session is no longer as it was read.
	jsons(ctx context.Context, r *Registry, sessions []Session) ([]string, error)
	// clues reads what may still show that sessions are RTA's.
	clues(ctx context.Context, r *Registry, sessions []Session) ([]clues, error)
	// compareJSON reports whether a session is still as it was read, with that
	// Session JSON, and gives it another one then if that is not nil.
	compareJSON(ctx context.Context, r *Registry, s Session, old string, updated *string) (bool, error)
	// produce sends what a producer sends to write a session; see [Produce].
	produce(ctx context.Context, to redis.Cmdable, key, identity string, pairs []any) error
}

// hashLayout keeps sessions in the one Hash that several layouts share.
type hashLayout interface {
	layout
	reader(r *Registry) hashReader
}

// hashReader makes sessions of what it takes of a page of the shared Hash.
type hashReader interface {
	// claims reports whether an entry belongs to the layout. Of the layouts the
	// first that claims an entry has it, so that it belongs to one.
	claims(field, value string) bool
	take(field, value string)
	// sessions appends the sessions whose turn came with this page.
	sessions(ctx context.Context, page []Session) ([]Session, error)
}

// keyLayout keeps each session at a key of its own, which takes a scan of the
// keyspace to find, and which producers usually give a time to live.
type keyLayout interface {
	layout
	read(ctx context.Context, r *Registry, keys []string) ([]Session, error)
}

// Layouts are the names of all layouts.
func Layouts() []Layout {
	names := make([]Layout, len(layouts))
	for i, l := range layouts {
		names[i] = l.name()
	}
	return names
}

// named is the layout of that name.
func named(name Layout) layout {
	for _, l := range layouts {
		if l.name() == name {
			return l
		}
	}
	panic("a session of an unknown layout " + name)
}

// of is the layout of a session.
func of(s Session) layout { return named(s.Layout) }

// HasOwnKey reports whether sessions lie at keys of their own, which takes a
// scan of the keyspace to find.
func (l Layout) HasOwnKey() bool {
	_, ok := named(l).(keyLayout)
	return ok
}

// HasOwnKey reports whether the session lies at a key of its own.
func (s Session) HasOwnKey() bool { return s.Layout.HasOwnKey() }

// Produce writes a session as a producer of the layout does, with one HMSET:
// for the demo and for tests. The key is that of the shared Hash; the pairs are
// the names of properties and their values in turn.
func Produce(ctx context.Context, to redis.Cmdable, l Layout, key, identity string, pairs ...any) error {
	if err := named(l).produce(ctx, to, key, identity, pairs); err != nil {
		return fmt.Errorf("writing session %s: %w", escape.Quote(identity), err)
	}
	return nil
}

// Use says what is done with sessions.
type Use struct {
	// Read is looking at them, Remove expiring them and retiring what they
	// named.
	Read, Remove bool
}

// Access is what the layouts in use ask of Redis.
type Access struct {
	// Hash is that they read the shared Hash; Keys that they scan the keyspace
	// for keys of sessions.
	Hash, Keys bool
	// Rights are the words of an ACL rule.
	Rights []string
}

// AccessOf says what layouts, or all if none is wanted, ask of Redis.
func AccessOf(wanted []Layout, u Use) Access {
	var n Access
	r := New(nil, Options{Layouts: wanted})
	for _, l := range layouts {
		if !r.looksFor(l) || !u.Read && !u.Remove {
			continue
		}
		switch l.(type) {
		case hashLayout:
			n.Hash = true
		case keyLayout:
			n.Keys = true
		}
		for _, word := range l.rights(u) {
			if !slices.Contains(n.Rights, word) {
				n.Rights = append(n.Rights, word)
			}
		}
	}
	return n
}
