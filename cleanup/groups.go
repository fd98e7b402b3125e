package cleanup

import (
	"context"
	"slices"
	"time"

	"github.com/streamkeeper/streamkeeper/buffer"
)

// groupStore is what is needed of the stream buffer to remember consumer groups
// without consumers, for all instances: Redis does not know since when they are.
type groupStore interface {
	GroupNotes(context.Context) (map[buffer.StreamGroup]time.Time, error)
	NoteGroups(ctx context.Context, groups []buffer.StreamGroup, now time.Time) error
	ForgetGroups(ctx context.Context, groups []buffer.StreamGroup) error
}

// groupsSince gives since when each of the stream's groups without consumers is
// noted so; zero if it is not.
func (r *run) groupsSince(stream string, groups []string) []time.Time {
	since := make([]time.Time, len(groups))
	for i, group := range groups {
		since[i] = r.streams.groups[buffer.StreamGroup{Stream: stream, Group: group}]
	}
	return since
}

// watchGroups keeps in mind the groups without consumers that are not noted yet.
func (r *run) watchGroups(f StreamFacts) {
	for i, group := range f.Info.WithoutConsumers {
		if f.GroupsSince[i].IsZero() && len(r.streams.groups)+len(r.found.groups) < buffer.MaxGroupNotes {
			r.found.groups = append(r.found.groups, buffer.StreamGroup{Stream: f.Name, Group: group})
		}
	}
}

// noteGroups notes the groups that were found without consumers, and forgets
// those that have some, or are gone.
func (r *run) noteGroups(ctx context.Context) error {
	groups := make(map[string][]string)
	for g := range r.streams.groups {
		groups[g.Stream] = append(groups[g.Stream], g.Group)
	}
	var names []string
	for name := range groups {
		names = append(names, name)
	}
	slices.Sort(names)
	for page := range slices.Chunk(names, restoreBatch) {
		infos, err := r.store.Infos(ctx, page)
		if err != nil {
			return err
		}
		listed, err := r.store.Listed(ctx, page)
		if err != nil {
			return err
		}
		var over []buffer.StreamGroup
		for i, name := range page {
			for _, group := range groups[name] {
				if !listed[i] || infos[i].Err == nil && !slices.Contains(infos[i].WithoutConsumers, group) {
					over = append(over, buffer.StreamGroup{Stream: name, Group: group})
				}
			}
		}
		if err := r.store.ForgetGroups(ctx, over); err != nil {
			return err
		}
	}
	return r.store.NoteGroups(ctx, r.found.groups, r.now)
}
