package buffer

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/streamkeeper/streamkeeper/internal/redisconn"
)

// stateGroups is a Sorted Set of the consumer groups without consumers, by the
// time when they were first seen so: Redis does not know since when they are.
const stateGroups = "groups"

// MaxGroupNotes is how many groups without consumers are remembered. One that
// is not remembered protects its entries and its stream.
const MaxGroupNotes = 10_000

// StreamGroup is a consumer group of a stream.
type StreamGroup struct{ Stream, Group string }

// member is the name in one text: the length tells where the stream's ends.
func (g StreamGroup) member() string {
	return strconv.Itoa(len(g.Stream)) + ":" + g.Stream + g.Group
}

// parseMember is the reverse of member; false if the text is none.
func parseMember(text string) (StreamGroup, bool) {
	length, names, _ := strings.Cut(text, ":")
	n, err := strconv.Atoi(length)
	if err != nil || n < 0 || n > len(names) {
		return StreamGroup{}, false
	}
	return StreamGroup{names[:n], names[n:]}, true
}

// NotedGroups are since when consumer groups are known to be without consumers, by
// stream and group.
type NotedGroups map[string]map[string]time.Time

// NotedGroupsOf is what [Buffer.GroupNotes] found, by stream.
func NotedGroupsOf(notes map[StreamGroup]time.Time) NotedGroups {
	n := make(NotedGroups)
	for g, since := range notes {
		n.Put(g, since)
	}
	return n
}

// Put adds a group.
func (n NotedGroups) Put(g StreamGroup, since time.Time) {
	if n[g.Stream] == nil {
		n[g.Stream] = make(map[string]time.Time)
	}
	n[g.Stream][g.Group] = since
}

// Limits say which groups of a stream count: those that have long been without
// consumers do not.
func (n NotedGroups) Limits(stream string, idleAfter time.Duration, now time.Time) GroupLimits {
	limits := GroupLimits{IdleAfter: idleAfter}
	for group, since := range n[stream] {
		if now.Sub(since) > idleAfter {
			limits.Ignore = append(limits.Ignore, group)
		}
	}
	return limits
}

// GroupNotes are the groups of our streams that are noted as without
// consumers, and since when.
func (b *Buffer) GroupNotes(ctx context.Context) (map[StreamGroup]time.Time, error) {
	notes := make(map[StreamGroup]time.Time)
	err := b.walkState(ctx, stateGroups, func(members []member) error {
		for _, m := range members {
			if g, ok := parseMember(m.name); ok && b.Owns(g.Stream) {
				notes[g] = m.at
			}
		}
		return nil
	})
	return notes, err
}

// NoteGroups notes groups as first seen without consumers now, unless they are
// noted already. Where that cannot be kept they are not noted, nor where their
// names are too long together: such a group protects its entries and its stream.
func (b *Buffer) NoteGroups(ctx context.Context, groups []StreamGroup, now time.Time) error {
	members := make([]string, len(groups))
	for i, g := range groups {
		members[i] = g.member()
	}
	if err := b.noteFirst(ctx, stateGroups, members, MaxGroupNotes, now); err != nil && !takesNoNote(err) {
		return fmt.Errorf("noting consumer groups without consumers: %w", err)
	}
	return nil
}

// ForgetGroups forgets groups that have consumers again, or are gone.
func (b *Buffer) ForgetGroups(ctx context.Context, groups []StreamGroup) error {
	if len(groups) == 0 {
		return nil
	}
	members := make([]any, len(groups))
	for i, g := range groups {
		members[i] = g.member()
	}
	if err := b.rdb.ZRem(ctx, b.stateKey(stateGroups), members...).Err(); err != nil && redisconn.ClassOf(err) != redisconn.ClassWrongType {
		return fmt.Errorf("forgetting consumer groups: %w", err)
	}
	return nil
}
