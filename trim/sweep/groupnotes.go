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
	noted buffer.NotedGroups
	count int
	// listed are the streams of noted groups that this run came upon.
	listed map[string]bool
	// added and gone are what changes with this run.
	added, gone []buffer.StreamGroup
}

// readGroupNotes reads what is remembered, if groups count.
func (r *run) readGroupNotes(ctx context.Context) error {
	n := &groupNotes{noted: make(buffer.NotedGroups), listed: make(map[string]bool)}
	r.groups = n
	if !r.s.o.RespectGroups {
		return nil
	}
	all, err := r.s.store.GroupNotes(ctx)
	if err != nil {
		return err
	}
	n.noted, n.count = buffer.NotedGroupsOf(all), len(all)
	return nil
}

// noteListed notes that the run came upon a stream.
func (n *groupNotes) noteListed(stream string) {
	if n.noted[stream] != nil {
		n.listed[stream] = true
	}
}

// noteConsumerless notes which groups of a stream have no consumers now. Only a call
// that trims tells that. What is noted of the groups of other streams stays, even if
// they have consumers by now: before the server ignores a group it asks whether it was
// given an entry lately (givenLately in package buffer).
func (n *groupNotes) noteConsumerless(stream string, without []string, now time.Time) {
	for group := range n.noted[stream] {
		if !slices.Contains(without, group) {
			n.gone = append(n.gone, buffer.StreamGroup{Stream: stream, Group: group})
			delete(n.noted[stream], group)
		}
	}
	for _, group := range without {
		if _, known := n.noted[stream][group]; known || n.count >= buffer.MaxGroupNotes {
			continue
		}
		g := buffer.StreamGroup{Stream: stream, Group: group}
		n.noted.Put(g, now)
		n.added = append(n.added, g)
		n.count++
	}
	n.listed[stream] = true
}

// forgetUnlisted forgets the groups of streams that are listed no longer; the
// scan must have been complete.
func (n *groupNotes) forgetUnlisted() {
	for stream, groups := range n.noted {
		if n.listed[stream] {
			continue
		}
		for group := range groups {
			n.gone = append(n.gone, buffer.StreamGroup{Stream: stream, Group: group})
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
