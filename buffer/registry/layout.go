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

// layouts are all there are. They stand in the order in which they are asked
// whether a key, or an entry of the shared Hash, is theirs.
var layouts = []layout{keys{Keys, keyNames{before: ":"}}, fields{}, object{}}

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
	// signs are the fields each of which shows that a session is there.
	signs(identity string) []string
	// copyPrefix and the names that expire gave the fields of a session in its copy
	// make the fields of the Hash again.
	copyPrefix(identity string) string
	// copiedStream is the name of the stream in a copy, whose fields it gets by name.
	copiedStream(identity string, field func(name string) optional) optional
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

// keyLayout keeps each session in a Hash at a key of its own, which takes a scan of
// the keyspace to find, and which producers usually give a time to live.
type keyLayout interface {
	layout
	keyNames() keyNames
	// read reads the sessions of one page of keys; one that has expired meanwhile is
	// left out.
	read(ctx context.Context, r *Registry, found []foundKey) ([]Session, error)
}

// Layouts are the names of all layouts.
func Layouts() []Layout {
	names := make([]Layout, len(layouts))
	for i, l := range layouts {
		names[i] = l.name()
	}
	return names
}

// find is the layout of that name.
func find(name Layout) (l layout, ok bool) {
	i := slices.IndexFunc(layouts, func(l layout) bool { return l.name() == name })
	if i < 0 {
		return nil, false
	}
	return layouts[i], true
}

// named is the layout of a name that was checked.
func named(name Layout) layout {
	l, ok := find(name)
	if !ok {
		panic("a session of an unknown layout " + name)
	}
	return l
}

// of is the layout of a session.
func of(s Session) layout { return named(s.Layout) }

// eachLayout visits the indexes of the sessions of each layout.
func eachLayout(sessions []Session, visit func(l layout, indexes []int) error) error {
	byLayout := make(map[Layout][]int)
	for i, s := range sessions {
		byLayout[s.Layout] = append(byLayout[s.Layout], i)
	}
	for _, l := range layouts {
		if indexes := byLayout[l.name()]; len(indexes) > 0 {
			if err := visit(l, indexes); err != nil {
				return err
			}
		}
	}
	return nil
}

// pick gives the sessions at those indexes.
func pick(sessions []Session, indexes []int) []Session {
	picked := make([]Session, len(indexes))
	for k, i := range indexes {
		picked[k] = sessions[i]
	}
	return picked
}

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
	// Hash is that they read the shared Hash; KeyPrefixes are those of the keys of
	// sessions for which they scan the keyspace.
	Hash        bool
	KeyPrefixes []string
	// Rights are the words of an ACL rule.
	Rights []string
}

// AccessOf says what layouts, or all if none is wanted, ask of Redis, given the key
// of the shared Hash.
func AccessOf(sessions string, wanted []Layout, u Use) Access {
	if !u.Read && !u.Remove {
		return Access{}
	}
	r := New(nil, Options{Key: sessions, Layouts: wanted})
	n := Access{Hash: r.looksForAny(false), KeyPrefixes: r.keyPrefixes()}
	for _, l := range layouts {
		if !r.looksFor(l) {
			continue
		}
		for _, word := range l.rights(u) {
			if !slices.Contains(n.Rights, word) {
				n.Rights = append(n.Rights, word)
			}
		}
	}
	return n
}
