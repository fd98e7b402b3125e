package sweep

import (
	"context"
	"slices"
	"time"

	"github.com/streamkeeper/streamkeeper/buffer"
)

// groupNotes are the consumer groups without consumers, as Redis remembers them
// for all instances. Such a group protects entries until it was seen so for
// long enough; one that is not remembered always does.
type groupNotes struct {
	// noted is since when, by stream.
	noted map[string]map[string]time.Time
	count int
	// met are the streams of noted groups that this run came upon.
	met map[string]bool
	// added and gone are what changes with this run.
	added, gone []buffer.GroupName
}

// readGroupNotes reads what is remembered, if groups count.
func (r *run) readGroupNotes(ctx context.Context) error {
	n := &groupNotes{noted: make(map[string]map[string]time.Time), met: make(map[string]bool)}
	r.groups = n
	if !r.o.RespectGroups {
		return nil
	}
	all, err := r.store.GroupNotes(ctx)
	if err != nil {
		return err
	}
	n.count = len(all)
	for g, since := range all {
		n.put(g, since)
	}
	return nil
}

func (n *groupNotes) put(g buffer.GroupName, since time.Time) {
	if n.noted[g.Stream] == nil {
		n.noted[g.Stream] = make(map[string]time.Time)
	}
	n.noted[g.Stream][g.Group] = since
}

// see notes which groups of a stream have no consumers now.
func (n *groupNotes) see(stream string, without []string, now time.Time) {
	for group := range n.noted[stream] {
		if !slices.Contains(without, group) {
			n.gone = append(n.gone, buffer.GroupName{Stream: stream, Group: group})
			delete(n.noted[stream], group)
		}
	}
	for _, group := range without {
		if _, known := n.noted[stream][group]; known || n.count >= buffer.MaxGroupNotes {
			continue
		}
		g := buffer.GroupName{Stream: stream, Group: group}
		n.put(g, now)
		n.added = append(n.added, g)
		n.count++
	}
	n.met[stream] = true
}

// forgetUnlisted forgets the groups of streams that are listed no longer; the
// scan must have been complete.
func (n *groupNotes) forgetUnlisted() {
	for stream, groups := range n.noted {
		if n.met[stream] {
			continue
		}
		for group := range groups {
			n.gone = append(n.gone, buffer.GroupName{Stream: stream, Group: group})
		}
		delete(n.noted, stream)
	}
}

// write has Redis remember what changed.
func (n *groupNotes) write(ctx context.Context, store Store, now time.Time) error {
	if err := store.ForgetGroups(ctx, n.gone); err != nil {
		return err
	}
	return store.NoteGroups(ctx, n.added, now)
}

// guard says which of the stream's groups count.
func (r *run) guard(stream string) *buffer.GroupGuard {
	g := &buffer.GroupGuard{IdleAfter: r.o.GroupIdleAfter}
	for name, since := range r.groups.noted[stream] {
		if r.now.Sub(since) > r.o.GroupIdleAfter {
			g.Ignore = append(g.Ignore, name)
		}
	}
	return g
}

// seeGroups notes which groups of the stream have no consumers now.
func (r *run) seeGroups(stream string, out buffer.Trimmed) {
	if !r.o.RespectGroups {
		return
	}
	r.groups.see(stream, out.Lonely, r.now)
	if out.HeldBy != "" {
		r.hold(stream, out.HeldBy)
		r.o.Log.Debug("a consumer group holds trimming back", "stream", buffer.Escape(stream), "group", buffer.Escape(out.HeldBy))
	}
}

// maxHeld is how many streams that groups hold back are counted in a run.
const maxHeld = 1000

func (r *run) hold(stream, group string) {
	if len(r.held) < maxHeld {
		r.held[stream] = group
	}
}
