// Package registry is the sessions of the stream buffer: one interface over the
// layouts in which producers keep them. Each layout is a file; the list in
// layout.go registers them, and nothing outside this package knows which exist.
package registry

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/streamkeeper/streamkeeper/internal/redisconn"
)

// Options say where the sessions lie.
type Options struct {
	// Key is that of the Hash that the layouts share. The keys that hold one
	// session each begin with it.
	Key string
	// Layouts that sessions are looked for in; none means all of them.
	Layouts []Layout
	// Streams is the key of the Set of all stream names.
	Streams string
	// State begins our own keys.
	State string
	// JudgeForeign has entries that nothing marks as RTA's judged like the
	// others: nobody else uses these keys.
	JudgeForeign bool
	// MaxStall is how long reading one page may block Redis.
	MaxStall time.Duration
}

// Registry is the sessions of a stream buffer. Its methods may be used by
// several goroutines at once.
type Registry struct {
	conn *redisconn.Conn
	o    Options
	// unknown are the properties of sessions that the documentation does not
	// have; see [fields].
	unknown unknownNames
	// inFull has scans read what nothing but the doctor needs.
	inFull bool
}

// New makes a registry.
func New(conn *redisconn.Conn, o Options) *Registry { return &Registry{conn: conn, o: o} }

// InFull is a registry of the same sessions whose scans read every property but
// the Session JSON, for [Session.Position] and [Session.TimeRange].
func (r *Registry) InFull() *Registry { return &Registry{conn: r.conn, o: r.o, inFull: true} }

// DetectsLayouts reports whether no layout is pinned, so that the keyspace
// need not be scanned each time.
func (r *Registry) DetectsLayouts() bool { return len(r.o.Layouts) == 0 }

func (r *Registry) looksFor(l layout) bool {
	return r.DetectsLayouts() || slices.Contains(r.o.Layouts, l.name())
}

// looksForAny reports whether sessions are looked for in a layout that has a key
// for each session, or in one that shares the Hash.
func (r *Registry) looksForAny(ownKey bool) bool {
	return slices.ContainsFunc(layouts, func(l layout) bool { return r.looksFor(l) && l.name().HasOwnKey() == ownKey })
}

// Anywhere is a session of that identity in each layout that sessions are looked
// for in and that may have it, to ask whether it is there.
func (r *Registry) Anywhere(identity string) []Session {
	var all []Session
	for _, l := range layouts {
		if r.looksFor(l) && r.mayHave(l, identity) {
			all = append(all, Session{Identity: identity, Layout: l.name()})
		}
	}
	return all
}

// pageSize is how many entries of the shared Hash one page may have.
const pageSize = 200

// WalkSessions visits every session in every layout that is in use, a page at
// a time, in no order; a session may come twice if the registry changes
// meanwhile. The page is the visitor's only during the call. An error means
// that the scan is not complete, so nothing may be concluded from what was
// not seen.
func (r *Registry) WalkSessions(ctx context.Context, visit func([]Session) error) error {
	if err := r.WalkHashSessions(ctx, visit); err != nil {
		return err
	}
	return r.walkKeySessions(ctx, visit)
}

// reading is a layout's reader, and whether its sessions are looked for.
type reading struct {
	hashReader
	wanted bool
}

// handOut gives an entry to the first reader that claims it.
func handOut(readers []reading, field, value string) {
	for _, reader := range readers {
		if reader.claims(field, value) {
			if reader.wanted {
				reader.take(field, value)
			}
			return
		}
	}
}

// WalkHashSessions is WalkSessions without the layouts that need a scan of the
// whole keyspace.
func (r *Registry) WalkHashSessions(ctx context.Context, visit func([]Session) error) error {
	var readers []reading
	wanted := false
	for _, l := range layouts {
		if l, ok := l.(hashLayout); ok {
			readers = append(readers, reading{l.reader(r), r.looksFor(l)})
			wanted = wanted || r.looksFor(l)
		}
	}
	if !wanted {
		return nil
	}
	ttls, err := r.fieldTTLs(ctx)
	if err != nil {
		return err
	}
	var page []Session
	err = redisconn.WalkPages(ctx, r.fetchHash(), func(pairs []string) (err error) {
		for i := 0; i+1 < len(pairs); i += 2 {
			handOut(readers, pairs[i], pairs[i+1])
		}
		page = page[:0]
		for _, reader := range readers {
			if !reader.wanted {
				continue
			}
			if page, err = reader.sessions(ctx, page); err != nil {
				return err
			}
		}
		for i := range page {
			page[i].SelfExpiring, page[i].mayEnd = ttls == someFieldTTL, ttls != noFieldTTL
		}
		if page, err = r.withoutProperties(ctx, page); err != nil || len(page) == 0 {
			return err
		}
		if err := r.describe(ctx, page); err != nil {
			return err
		}
		return visit(page)
	})
	if errors.Is(err, ErrNoHash) {
		// Nothing can be said of what a key of another type stands for.
		return visit([]Session{{Identity: r.o.Key, Layout: Object, Malformed: ErrNoHash, marked: true, blind: true}})
	}
	return err
}

// describe reads what else must be known of the sessions of a page: whether they
// are RTA's, and what the malformed ones may own.
func (r *Registry) describe(ctx context.Context, page []Session) error {
	if err := r.markForeign(ctx, page); err != nil {
		return err
	}
	return r.readMentions(ctx, page)
}

// fetchHash reads the shared Hash page by page. What is no Hash is [ErrNoHash].
func (r *Registry) fetchHash() func(ctx context.Context, cursor uint64) ([]string, uint64, error) {
	pages := redisconn.NewPager(r.o.MaxStall, pageSize)
	return func(ctx context.Context, cursor uint64) ([]string, uint64, error) {
		started := time.Now()
		pairs, next, err := r.conn.Client().HScan(ctx, r.o.Key, cursor, "", int64(pages.Count())).Result()
		if isWrongType(err) {
			err = ErrNoHash
		}
		if err != nil {
			return nil, 0, fmt.Errorf("reading the sessions in %q: %w", r.o.Key, err)
		}
		took, bytes := time.Since(started), 0
		for _, text := range pairs {
			bytes += len(text)
		}
		pages.Took(took, len(pairs)/2, bytes)
		return pairs, next, nil
	}
}
