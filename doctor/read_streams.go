package doctor

import (
	"context"
	"errors"
	"hash/maphash"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/streamkeeper/streamkeeper/buffer"
	"github.com/streamkeeper/streamkeeper/internal/redisconn"
	"github.com/streamkeeper/streamkeeper/trim"
)

// streamTable is what is kept of each listed stream. Names are kept as hashes:
// two with the same one share what is known, which at worst hides a finding.
type streamTable struct {
	seed  maphash.Seed
	notes map[uint64]streamNote
	// empty are listed names without a key, and unlisted are names that sessions
	// know and the set does not; some of each.
	empty    []string
	unlisted map[uint64]bool
}

type streamNote struct {
	// newest is when the newest entry came in ms, 0 if that is not a time.
	newest int64
	// named are how many sessions name it, live those of them that were updated
	// within the limit, and open those of these that are not known to be closed.
	named, live, open uint32
	// never: it never had an entry.
	never bool
}

// maxNames bounds names that are kept in mind.
const maxNames = 1000

func newStreamTable() *streamTable {
	return &streamTable{seed: maphash.MakeSeed(), notes: make(map[uint64]streamNote), unlisted: make(map[uint64]bool)}
}

func (t *streamTable) hash(name string) uint64 { return maphash.String(t.seed, name) }

func (t *streamTable) find(name string) (streamNote, bool) {
	n, ok := t.notes[t.hash(name)]
	return n, ok
}

// missing are listed names without a key that no session names.
func (t *streamTable) missing() []string {
	return slices.DeleteFunc(slices.Clone(t.empty), func(name string) bool {
		n, _ := t.find(name)
		return n.named > 0
	})
}

// readStreams looks at every listed stream.
func (e *examination) readStreams(ctx context.Context) error {
	e.whole.Totals.LeastCoverage = 0
	err := e.b.WalkStreams(ctx, func(names []string) error { return e.streamPage(ctx, names) })
	if redisconn.ClassOf(err) == redisconn.ClassWrongType {
		for _, o := range e.outcomes {
			if o.check.ID == "stream-type" {
				o.found(Error, e.b.Names().Streams, "the set of streams is no Set")
			}
		}
		return nil
	}
	if isDenied(err) && e.unread.note(factStreams, err) {
		return nil
	}
	return err
}

func (e *examination) streamPage(ctx context.Context, names []string) error {
	if e.mostStreams > 0 && e.whole.Totals.Streams >= e.mostStreams {
		return errEnough
	}
	infos, err := e.b.Infos(ctx, names)
	if err != nil {
		return err
	}
	sizes := make([]int64, len(names))
	if e.unread[factSizes] == nil {
		found, err := e.b.StreamMemory(ctx, names, infos)
		switch {
		case err == nil:
			sizes = found
		case !isDenied(err) || !e.unread.note(factSizes, err):
			return err
		}
	}
	page := make([]Stream, len(names))
	for i, name := range names {
		page[i] = Stream{
			Name: name, Prefix: e.b.Names().StreamPrefix, Now: e.now, Info: infos[i], Bytes: sizes[i], Policy: e.o.Policies.For(name),
			Trims: e.o.Uses.Trim, Relieved: e.o.Uses.Pressure,
		}
	}
	if e.reads && e.server.HistoryLength > 0 && e.unread[factTrims] == nil {
		if err := e.readTrims(ctx, page); err != nil {
			return err
		}
	}
	for i := range page {
		s := &page[i]
		if err := e.readFlow(ctx, s); err != nil {
			return err
		}
		if err := e.askFurther(ctx, s); err != nil {
			return err
		}
		e.noteStream(s)
		e.judgeStream(s)
		e.samples.offer(s)
	}
	return nil
}

// askFurther asks what matters for few streams only.
func (e *examination) askFurther(ctx context.Context, s *Stream) error {
	if bare, ok := strings.CutPrefix(s.Name, s.Prefix); ok && s.Prefix != "" {
		infos, err := e.b.Infos(ctx, []string{bare})
		if err != nil {
			return err
		}
		s.Behind = infos[0].Type
	}
	if limit := s.Policy.LengthLimit(); e.o.RespectGroups && limit > 0 && s.Info.Length > limit && e.unread[factGroups] == nil {
		floors, err := e.b.GroupFloors(ctx, []string{s.Name}, e.groupLimits(ctx, s.Name))
		switch {
		case err == nil:
			s.Floor = floors[0]
			e.unread.note(factGroups, s.Floor.Err)
		case !isDenied(err) || !e.unread.note(factGroups, err):
			return err
		}
	}
	return nil
}

// groupLimits say which consumer groups hold trimming back. Where it is not known which
// have long been without consumers, each does.
func (e *examination) groupLimits(ctx context.Context, stream string) buffer.GroupLimits {
	if !e.groupsRead {
		e.groupsRead = true
		notes, _ := e.b.GroupNotes(ctx) // none where they may not be read
		e.groups = buffer.NotedGroupsOf(notes)
	}
	return e.groups.Limits(stream, e.o.GroupIdleAfter, e.now)
}

// noteStream keeps what later checks need, and adds up.
func (e *examination) noteStream(s *Stream) {
	hash := e.streams.hash(s.Name)
	if _, again := e.streams.notes[hash]; again {
		return
	}
	note := streamNote{never: s.Info.Type == "none" || s.Info.Exists() && s.Info.LastID.IsZero()}
	if s.Info.Newest.IsTime(e.now) {
		note.newest = int64(s.Info.Newest.Ms)
	}
	e.streams.notes[hash] = note
	if s.Info.Type == "none" && s.Behind != "stream" && len(e.streams.empty) < maxNames {
		e.streams.empty = append(e.streams.empty, strings.Clone(s.Name))
	}
	if i, ok := e.o.Policies.RuleOf(s.Name); ok {
		e.whole.Used[i] = true
	}
	e.whole.Totals.add(s)
}

// add sums up one stream more.
func (t *Totals) add(s *Stream) {
	t.Streams++
	t.Entries += s.Info.Length
	t.Bytes += float64(s.Bytes)
	t.Pending += s.Info.Groups.Pending
	if s.isNew() {
		t.New++
	}
	if s.Info.Exists() && s.Info.Added < 0 {
		t.Uncounted++
	}
	if !s.Policy.KeepsAll() && s.limitedByMore() {
		t.LimitedByMore++
	}
	if s.lacksEntries() {
		if _, known := s.goneByOthers(); !known {
			t.Unrecorded++
		}
	}
	rate := 0.0
	if s.Flows(flowing) {
		rate = s.Rate()
	}
	length := float64(s.Info.Length)
	entry := 0.0
	if length > 0 {
		entry = float64(s.Bytes) / length
	}
	t.BytesPerSecond += rate * entry
	switch {
	case s.Policy.KeepsAll():
		t.AtLimits += float64(s.Bytes)
		if rate > 0 {
			t.Endless++
			t.EndlessBytes += rate * entry
		}
	case rate == 0:
		t.AtLimits += float64(s.Bytes)
	default:
		t.AtLimits += bytesAtLimits(s.Policy, rate, entry)
	}
	if covered := s.Coverage(); covered > 0 && s.Flows(flowing) && (t.LeastCoverage == 0 || covered < t.LeastCoverage) {
		t.Least, t.LeastCoverage = strings.Clone(s.Name), covered
	}
}

// bytesAtLimits is what a stream takes once it has grown to the first of its
// limits, at a rate of entries a second, each of which takes so many bytes.
func bytesAtLimits(p trim.Policy, rate, entry float64) float64 {
	most := math.Inf(1)
	if limit := p.LengthLimit(); limit > 0 {
		most = min(most, float64(limit)*entry)
	}
	if limit := p.OldestAge(); limit > 0 {
		most = min(most, limit.Seconds()*rate*entry)
	}
	if limit := p.BytesLimit(); limit > 0 {
		most = min(most, max(float64(limit), entry)) // never inside a macro node
	}
	return max(most, p.MinAge.Seconds()*rate*entry)
}

// maxRates is of how many streams it is asked how fast they flow: it costs some of
// their newest entries, which stay on the server. Of others the mean has to do.
const maxRates = 1000

// readFlow asks how fast a stream flows, pauses left out.
func (e *examination) readFlow(ctx context.Context, s *Stream) (err error) {
	if !e.reads || e.askedRates >= maxRates || s.MeanRate() == 0 || !s.Flows(flowing) {
		return nil
	}
	e.askedRates++
	s.Flow, err = e.b.FlowRate(ctx, s.Name)
	return err
}

// flowing is how long ago the newest entry of a stream is at most that still
// counts for rates.
const flowing = 10 * time.Minute

// readUnlisted scans the keyspace for streams that neither the set of streams nor
// a session names.
func (e *examination) readUnlisted(ctx context.Context) error {
	err := e.b.WalkStreamKeys(ctx, func(names []string) error {
		for _, name := range names {
			hash := e.streams.hash(name)
			_, listed := e.streams.notes[hash]
			_, prefixed := e.streams.find(e.b.Names().StreamPrefix + name)
			if listed || prefixed || e.streams.unlisted[hash] {
				continue
			}
			e.whole.Unlisted = append(e.whole.Unlisted, strings.Clone(name))
			if len(e.whole.Unlisted) >= maxNames {
				return errEnough
			}
		}
		return nil
	})
	if errors.Is(err, errEnough) || e.unread.note(factUnlisted, err) {
		return nil
	}
	return err
}
