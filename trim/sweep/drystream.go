package sweep

import (
	"context"
	"fmt"

	"github.com/streamkeeper/streamkeeper/buffer"
	"github.com/streamkeeper/streamkeeper/trim"
)

// dryStream is a stream as it was read, less what was removed.
type dryStream struct {
	name string
	info buffer.StreamInfo
	gone int64
	// freed is how many bytes so many of them took, as far as it was asked, and
	// entryBytes what an entry at the old end takes, 0 if it was not.
	freed, freedEntries, entryBytes int64
	// passed is the id of an entry that is gone, and how many are gone with it.
	passed        buffer.ID
	passedEntries int64
	// weight is how much more entries take than their sizes say, 0 if not asked, and
	// meanBytes what one takes in the mean where some were deleted.
	weight    float64
	meanBytes int64
	// below is how many entries lay below an id when it was read.
	below map[buffer.ID]int64
	// needed is the first id that a consumer group needs, and group its name.
	needed     buffer.ID
	group      string
	groupErr   error
	groupsRead bool
	// most is how many entries are counted one by one.
	most buffer.CountLimit
	// estimated: an answer was an estimate.
	estimated bool
}

// freedOf is how many of a stream's bytes the removed entries took: of those that went
// before it was asked, an even share.
func (s *dryStream) freedOf(bytes int64) int64 {
	return min(bytes, s.freed+s.shareOf(bytes, max(0, s.goneWhole()-s.freedEntries)))
}

// goneWhole is how many entries went with their macro nodes: the others free nothing.
func (s *dryStream) goneWhole() int64 {
	if s.left() == 0 {
		return s.gone
	}
	return s.gone - s.gone%trim.NodeEntries(s.info)
}

// takeFrom takes the removed entries out of what the stream took.
func (s *dryStream) takeFrom(m *buffer.EntryMemory) {
	if s.gone > 0 {
		m.Bytes -= s.freedOf(m.Bytes)
		m.Total -= s.freedOf(m.Total)
		m.Length = max(0, m.Length-s.gone)
	}
}

func (s *dryStream) left() int64 { return max(0, s.info.Length-s.gone) }

// share is what the removed entries took of so many bytes.
func (s *dryStream) share(bytes int64) int64 { return s.shareOf(bytes, s.goneWhole()) }

func (s *dryStream) shareOf(bytes, entries int64) int64 {
	return int64(float64(bytes) * float64(entries) / float64(max(1, s.info.Length)))
}

// now is the stream without what was removed, as if it grew evenly.
func (s *dryStream) now() buffer.StreamInfo {
	info := s.info
	info.Length = s.left()
	if info.Length == 0 {
		info.First, info.Newest, info.Nodes = buffer.ID{}, buffer.ID{}, 0
		return info
	}
	part := float64(s.gone) / float64(s.info.Length)
	info.First.Ms += uint64(part * float64(info.Newest.Ms-info.First.Ms))
	node := trim.NodeEntries(s.info)
	info.Nodes = (info.Length + node - 1) / node
	return info
}

func (s *dryStream) readGroups(ctx context.Context, store Store, limits *buffer.GroupLimits) error {
	if limits == nil || s.groupsRead || !s.info.Exists() {
		return nil
	}
	floors, err := store.GroupFloors(ctx, []string{s.name}, *limits)
	if err != nil {
		return err
	}
	s.groupsRead, s.needed, s.group, s.groupErr = true, floors[0].Needed, floors[0].Group, floors[0].Err
	return nil
}

// countBelow is how many entries that are left lie below an id.
func (s *dryStream) countBelow(ctx context.Context, store Store, id buffer.ID) (int64, error) {
	n, known := s.below[id]
	if !known {
		var estimated bool
		var err error
		if n, estimated, err = countBelow(ctx, store, s.name, s.info, id, s.most); err != nil {
			return 0, err
		}
		if s.below == nil {
			s.below = make(map[buffer.ID]int64)
		}
		s.below[id], s.estimated = n, s.estimated || estimated
	}
	return max(0, n-s.gone), nil
}

// trim answers a call as Redis would: see trimScript in package buffer.
func (s *dryStream) trim(ctx context.Context, store Store, call buffer.TrimRequest) (result buffer.TrimResult, err error) {
	switch {
	case s.info.Err != nil:
		return buffer.TrimResult{Err: s.info.Err}, nil //nolint:nilerr // as Redis would answer
	case s.groupErr != nil:
		return buffer.TrimResult{Err: s.groupErr}, nil //nolint:nilerr // as Redis would answer
	case !s.info.Exists():
		if s.info.Type != "none" {
			result.Err = fmt.Errorf("WRONGTYPE %s", s.info.Type)
		}
		return result, nil
	}
	floor, floorGroup := call.MinAgeFloor, ""
	if call.Groups != nil && !s.needed.IsZero() && (floor.IsZero() || s.needed.Less(floor)) {
		floor, floorGroup = s.needed, s.group
	}
	over := s.left() - call.MaxLen
	if !call.Before.IsZero() {
		if over, err = s.countBelow(ctx, store, call.Before); err != nil {
			return result, err
		}
	}
	below := over
	if !floor.IsZero() {
		result.Floor, result.FloorGroup = floor, floorGroup
		if below, err = s.countBelow(ctx, store, floor); err != nil {
			return result, err
		}
	}
	if over <= 0 {
		return result, nil
	}
	free := min(over, below)
	result.Removed = s.remove(free, call)
	rest := min(over, call.Limit) - result.Removed
	if !call.Exact {
		rest = min(rest, buffer.DefaultNodeLimits.Entries+1)
	}
	if free < over && rest > 0 && below-result.Removed < rest {
		result.HeldBy = floorGroup
	}
	return result, nil
}

// remove removes as many of the entries as a call may, and says how many.
func (s *dryStream) remove(entries int64, call buffer.TrimRequest) int64 {
	removed := max(0, min(entries, call.Limit))
	if !call.Exact {
		node := trim.NodeEntries(s.info)
		s.estimated = s.estimated || s.info.Nodes != s.info.Length
		first := min(node-s.gone%node, s.left())
		switch {
		case removed >= s.left():
		case removed < first:
			removed = 0
		default:
			removed = first + (removed-first)/node*node
		}
	}
	s.gone += removed
	if s.entryBytes > 0 {
		s.freed, s.freedEntries = s.freed+removed*s.entryBytes, s.freedEntries+removed
	}
	return removed
}
