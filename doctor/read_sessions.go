package doctor

import (
	"context"
	"hash/maphash"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/streamkeeper/streamkeeper/buffer/registry"
	"github.com/streamkeeper/streamkeeper/burst"
	"github.com/streamkeeper/streamkeeper/internal/human"
	"github.com/streamkeeper/streamkeeper/internal/redisconn"
)

// sampledSessions is of how many sessions of each layout the Session JSON is read.
const sampledSessions = 1000

// sessionScan is what is kept of the sessions.
type sessionScan struct {
	count int64
	// seen are all, the foreign ones too, and sampled is of how many of each layout
	// the Session JSON was asked for.
	seen    int64
	sampled map[registry.Layout]int
	pairs   pairs
	// attended are sessions whose messages are looked for.
	attended     []*Attended
	quiet, fresh int
	// many are streams that many open sessions name.
	many []string
}

func newSessionScan() *sessionScan { return &sessionScan{sampled: make(map[registry.Layout]int)} }

// Bounds of what is kept of single sessions.
const (
	maxAttended = 100 // of each kind
	maxUnlisted = 10_000
)

// readSessions looks at every session.
func (e *examination) readSessions(ctx context.Context) error {
	err := e.registry.WalkSessions(ctx, func(page []registry.Session) error { return e.sessionPage(ctx, page) })
	if isDenied(err) && e.unread.note(factSessions, err) {
		return nil
	}
	return err
}

func (e *examination) sessionPage(ctx context.Context, page []registry.Session) error {
	page = slices.DeleteFunc(page, func(s registry.Session) bool { return s.HasStream && !e.b.Owns(s.Stream) })
	e.sessions.seen += int64(len(page))
	sampled := e.sessions.sample(page)
	jsons, lasting, err := e.readMore(ctx, page[:sampled])
	if err != nil {
		return err
	}
	for i := range page {
		s := Session{Session: page[i], Now: e.now, Prefix: e.b.Names().StreamPrefix, ExpireAfter: e.o.Limits.ExpireAfter}
		if i < sampled {
			s.Sampled, s.JSON, s.Lasting = true, jsons[i], lasting[i]
		}
		note, listed := e.streams.find(s.Stream)
		s.Listed = s.HasStream && listed
		if note.newest > 0 && listed {
			s.StreamNewest = time.UnixMilli(note.newest)
		}
		e.judgeSession(&s)
		if !s.Foreign {
			e.noteSession(&s, note)
		}
	}
	return nil
}

// readMore reads what is looked at of a sample; what is denied is not asked for
// again.
func (e *examination) readMore(ctx context.Context, page []registry.Session) (jsons []string, lasting []bool, err error) {
	jsons, lasting = make([]string, len(page)), make([]bool, len(page))
	if e.unread[factJSONs] == nil {
		found, err := e.registry.SessionJSONs(ctx, page)
		switch {
		case err == nil:
			jsons = found
		case !isDenied(err) || !e.unread.note(factJSONs, err):
			return nil, nil, err
		}
	}
	if e.unread[factExpiry] == nil {
		found, err := e.registry.Lasting(ctx, page)
		switch {
		case err == nil:
			lasting = found
		case !isDenied(err) || !e.unread.note(factExpiry, err):
			return nil, nil, err
		}
	}
	return jsons, lasting, nil
}

// sample says how many sessions of a page are looked at more closely: the scan
// comes upon them in no order.
func (c *sessionScan) sample(page []registry.Session) int {
	n := 0
	for n < len(page) && c.sampled[page[n].Layout] < sampledSessions {
		c.sampled[page[n].Layout]++
		n++
	}
	return n
}

// samplesSessions reports whether a check knows of a sample of the sessions alone.
func (c *Check) samplesSessions() bool {
	return c.session != nil && (slices.Contains(c.needs, factJSONs) || slices.Contains(c.needs, factExpiry))
}

// ofSample says out of how many sessions something was found, empty if of all.
func (c *sessionScan) ofSample() string {
	sampled := 0
	for _, n := range c.sampled {
		sampled += n
	}
	if int64(sampled) >= c.seen {
		return ""
	}
	return ", of " + human.Count(int64(sampled)) + " that were sampled"
}

// noteSession keeps what later checks need.
func (e *examination) noteSession(s *Session, note streamNote) {
	scan := e.sessions
	scan.count++
	id, isNumber := sessionNumber(s.ID)
	if isNumber {
		e.samples.meet(id)
		if !e.whole.HasID || id > e.whole.LargestID {
			e.whole.HasID, e.whole.LargestID, e.whole.LargestOf = true, id, strings.Clone(s.Identity)
		}
	}
	if !s.HasStream {
		return
	}
	if !s.Listed {
		if len(e.streams.unlisted) < maxUnlisted {
			e.streams.unlisted[e.streams.hash(s.Stream)] = true
		}
		return
	}
	age, timed := s.Age()
	note.named++
	if timed && age <= s.ExpireAfter {
		note.live++
		if !burst.Closed([]byte(s.JSON)) { // it is open, or its json was not read
			if note.open++; note.open == manySessions+1 && len(scan.many) < maxNames {
				scan.many = append(scan.many, strings.Clone(s.Stream))
			}
		}
	}
	e.streams.notes[e.streams.hash(s.Stream)] = note
	if !isNumber {
		return
	}
	scan.pairs.add(pairHash(e.streams.seed, s.Stream, id))
	if timed {
		scan.attend(s, note, age)
	}
}

// attend chooses sessions whose messages are looked for: some that were not
// updated for long although something comes to their stream, and some that were.
func (c *sessionScan) attend(s *Session, note streamNote, age time.Duration) {
	half := s.ExpireAfter / 2
	flows := !s.StreamNewest.IsZero() && s.Now.Sub(s.StreamNewest) <= half
	switch {
	case age > half && flows && c.quiet < maxAttended:
		c.quiet++
	case age <= half && c.fresh < maxAttended && (flows || note.never):
		c.fresh++
	default:
		return
	}
	kept := *s
	kept.Session = registry.Session{
		Identity: strings.Clone(s.Identity), Layout: s.Layout, Stream: strings.Clone(s.Stream), HasStream: true,
		ID: strings.Clone(s.ID), Updated: s.Updated,
	}
	kept.JSON = ""
	a := &Attended{Session: &kept, Never: note.never}
	if d, err := burst.ReadSession([]byte(s.JSON)); err == nil {
		a.State = d.State
	}
	c.attended = append(c.attended, a)
}

// shared are the streams that many open sessions name.
func (c *sessionScan) shared(streams *streamTable) []Shared {
	all := make([]Shared, len(c.many))
	for i, name := range c.many {
		note, _ := streams.find(name)
		all[i] = Shared{name, int64(note.open)}
	}
	return all
}

// readCounter reads the counter after the sessions: a session that comes
// meanwhile raises it first.
func (e *examination) readCounter(ctx context.Context) error {
	var err error
	e.whole.Counter, e.whole.HasCounter, err = e.b.Counter(ctx)
	if redisconn.ClassOf(err) == redisconn.ClassWrongType {
		e.whole.CounterIsOther = true
		return nil
	}
	if !e.unread.note(factCounter, err) {
		return err
	}
	return nil
}

func pairHash(seed maphash.Seed, stream string, id uint64) uint64 {
	var h maphash.Hash
	h.SetSeed(seed)
	_, _ = h.WriteString(stream)
	_, _ = h.WriteString("\x00" + strconv.FormatUint(id, 10))
	return h.Sum64()
}

// pairs are hashes of streams and ids, in parts that grow by themselves.
type pairs struct {
	parts [256][]uint64
	count int
}

// maxPairs bounds them to some 24 megabytes.
const maxPairs = 3_000_000

func (p *pairs) add(hash uint64) {
	if p.count < maxPairs {
		p.count++
		p.parts[hash>>56] = append(p.parts[hash>>56], hash)
	}
}

// repeated are hashes that were added more than once, some of them; the others
// are let go.
func (p *pairs) repeated() map[uint64]bool {
	found := make(map[uint64]bool)
	for i := range p.parts {
		part := p.parts[i]
		slices.Sort(part)
		for k := 1; k < len(part) && len(found) < maxNames; k++ {
			if part[k] == part[k-1] {
				found[part[k]] = true
			}
		}
		p.parts[i] = nil
	}
	return found
}

// twinsOf finds the sessions that share the stream and the id of one, itself among
// them.
func (e *examination) twinsOf(ctx context.Context, one *Session) (Twins, error) {
	id, ok := sessionNumber(one.ID)
	twins := Twins{Stream: one.Stream, ID: strconv.FormatUint(id, 10)}
	if !ok || !one.HasStream || one.Foreign {
		return twins, nil
	}
	err := e.registry.WalkSessions(ctx, func(page []registry.Session) error {
		for _, s := range page {
			if other, ok := sessionNumber(s.ID); ok && other == id && s.HasStream && s.Stream == one.Stream && !s.Foreign {
				twins.add(s.Identity)
			}
		}
		return nil
	})
	slices.Sort(twins.Identities)
	return twins, err
}

// add notes one session more, the first few.
func (t *Twins) add(identity string) {
	if len(t.Identities) < maxExamples && !slices.Contains(t.Identities, identity) {
		t.Identities = append(t.Identities, strings.Clone(identity))
	}
}

// readTwins finds, in a second scan, which sessions share a stream and an id. A
// scan may come upon a session twice, so most often there are none.
func (e *examination) readTwins(ctx context.Context) error {
	repeated := e.sessions.pairs.repeated()
	if _, denied := e.unread[factSessions]; denied || len(repeated) == 0 {
		return nil
	}
	found := make(map[uint64]*Twins)
	err := e.registry.WalkSessions(ctx, func(page []registry.Session) error {
		for _, s := range page {
			id, ok := sessionNumber(s.ID)
			if !ok || !s.HasStream || s.Foreign {
				continue
			}
			hash := pairHash(e.streams.seed, s.Stream, id)
			if !repeated[hash] {
				continue
			}
			t := found[hash]
			if t == nil {
				t = &Twins{Stream: strings.Clone(s.Stream), ID: strconv.FormatUint(id, 10)}
				found[hash] = t
			}
			t.add(s.Identity)
		}
		return nil
	})
	for _, t := range found {
		if len(t.Identities) > 1 {
			slices.Sort(t.Identities)
			e.whole.Twins = append(e.whole.Twins, *t)
		}
	}
	slices.SortFunc(e.whole.Twins, func(a, b Twins) int { return strings.Compare(a.Stream+"\x00"+a.ID, b.Stream+"\x00"+b.ID) })
	return err
}
