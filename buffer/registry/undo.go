package registry

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/streamkeeper/streamkeeper/internal/escape"
	"github.com/streamkeeper/streamkeeper/internal/redisconn"
)

// This file puts sessions back from their copies.

// Copy is what is kept of a session that has expired.
type Copy struct {
	Identity string
	Layout   Layout
	// Stream is the name of the stream that carried it, if HasStream.
	Stream    string
	HasStream bool
	// Expired is when it was removed.
	Expired time.Time
	// Left is the time to live that was left then; 0 if it had none.
	Left time.Duration

	// entry is that of the copies of the shared Hash, newest the id of the newest one
	// when the copy was found.
	entry, newest string
	// key is that of the copy of a key, meta what [copyField] holds there, and bytes its
	// size.
	key, meta string
	bytes     int64
}

// Undoing says how sessions are put back.
type Undoing struct {
	// Notes is for how long it is noted that a session was put back.
	Notes time.Duration
	// Back reports whether the same undo has put an identity back in a layout before:
	// that is not somebody's who has written it since. Nil for no.
	Back func(identity string, l Layout) bool
}

// Undone is what became of a session that was to be put back.
type Undone int

// What became of it.
const (
	// NoCopy: the copy is not there any more.
	NoCopy Undone = iota
	// IsBack: the session is as it was.
	IsBack
	// Exists: somebody has written the session since.
	Exists
)

// Errors of a session that stays a copy.
var (
	// ErrTooManyNotes means that its return cannot be noted.
	ErrTooManyNotes = errors.New("too many sessions are noted as put back: end some with undo --drop")
	// ErrBackForever means that its time to live cannot be given back.
	ErrBackForever = errors.New("its time to live cannot be given back: the Redis user needs +hpexpireat")
)

// undoBatch is how many copies are put back in one pipeline.
const undoBatch = 100

// Undo puts sessions back, each only if its identity is not there in any layout. It
// says for each what became of it, or why that failed; the last error says that
// not all were tried.
func (r *Registry) Undo(ctx context.Context, copies []Copy, how Undoing) ([]Undone, []error, error) {
	ended, failed := make([]Undone, len(copies)), make([]error, len(copies))
	how.Back = backWith(copies, ended, how.Back)
	for part := range slices.Chunk(indexesOf(copies), undoBatch) {
		there, err := r.thereInAnotherLayout(ctx, copies, part, how)
		if err != nil {
			return ended, failed, err
		}
		var own, shared []int
		for k, i := range part {
			switch {
			case there[k]:
				ended[i] = Exists
			case copies[i].Layout.HasOwnKey():
				own = append(own, i)
			default:
				shared = append(shared, i)
			}
		}
		r.undoAtKeys(ctx, copies, own, how, ended, failed)
		r.undoInHash(ctx, copies, shared, how, ended, failed)
		for _, i := range part {
			if redisconn.IsLost(failed[i]) {
				return ended, failed, failed[i]
			}
		}
	}
	return ended, failed, nil
}

// backWith is back, and what was put back of copies so far.
func backWith(copies []Copy, ended []Undone, back func(string, Layout) bool) func(string, Layout) bool {
	type place struct {
		identity string
		layout   Layout
	}
	at := make(map[place]int, len(copies))
	for i, c := range copies {
		at[place{c.Identity, c.Layout}] = i
	}
	return func(identity string, l Layout) bool {
		i, known := at[place{identity, l}]
		return known && ended[i] == IsBack || back != nil && back(identity, l)
	}
}

func indexesOf[T any](all []T) []int {
	indexes := make([]int, len(all))
	for i := range indexes {
		indexes[i] = i
	}
	return indexes
}

func (r *Registry) readUndone(cmds []*redis.Cmd, copies []Copy, indexes []int, ended []Undone, failed []error) {
	for k, i := range indexes {
		done, err := cmds[k].Text()
		switch {
		case err != nil:
		case done == "none":
		case done == "exists":
			ended[i] = Exists
		case done == "done":
			ended[i] = IsBack
		case done == "full":
			err = ErrTooManyNotes
		case done == "forever":
			err = ErrBackForever
		default:
			err = fmt.Errorf("%w: outcome %q", redisconn.ErrIncomplete, done)
		}
		switch {
		case redisconn.Unanswered(err):
			failed[i] = fmt.Errorf("putting session %s back: it may be back, as no reply came: %w", escape.Quote(copies[i].Identity), err)
		case err != nil:
			failed[i] = fmt.Errorf("putting session %s back: %w", escape.Quote(copies[i].Identity), err)
		}
	}
}

// thereInAnotherLayout reports for each copy whether its identity is in the
// registry, in another layout than its own, which the script looks at, and than
// those in which the same undo has put it back.
func (r *Registry) thereInAnotherLayout(ctx context.Context, copies []Copy, indexes []int, how Undoing) ([]bool, error) {
	pipe := r.conn.Client().Pipeline()
	found := make([][]func() bool, len(indexes))
	for k, i := range indexes {
		for _, s := range r.Anywhere(copies[i].Identity) {
			if s.Layout != copies[i].Layout && !how.Back(s.Identity, s.Layout) {
				found[k] = append(found[k], r.exists(ctx, pipe, s)...)
			}
		}
	}
	there := make([]bool, len(indexes))
	if pipe.Len() == 0 {
		return there, nil
	}
	if _, err := pipe.Exec(ctx); err != nil && !isWrongType(err) {
		return nil, fmt.Errorf("looking for sessions that are to be put back: %w", err)
	}
	for k := range found {
		there[k] = slices.ContainsFunc(found[k], func(f func() bool) bool { return f() })
	}
	return there, nil
}
