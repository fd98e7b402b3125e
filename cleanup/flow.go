package cleanup

import (
	"context"
	"errors"
	"hash/maphash"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/streamkeeper/streamkeeper/buffer"
	"github.com/streamkeeper/streamkeeper/buffer/registry"
)

// Bounds of the look at a stream's messages.
const (
	// lookMessages and lookBytes are how far it goes back without a gap.
	lookMessages = 1000
	lookBytes    = 64 << 20
	// lookPoints are spread over the rest of the limit.
	lookPoints = 100
	// runBytes is what all looks of a run read, and runMemory what they keep.
	runBytes  = 1 << 30
	runMemory = 16 << 20
	// secondShare is the part of it that is left to the second scan, which only
	// reads what came since the first: what it cannot ask stays.
	secondShare = 8
)

// lookBounds are what all looks of a run read, and what they keep, in bytes.
type lookBounds struct{ read, kept int64 }

// What is kept of a look takes so many bytes.
const (
	lookMemory    = 256
	arrivalMemory = 128
	silentMemory  = 48
)

// freshFor is how long what the second scan saw of a stream holds for the
// sessions of further pages.
const freshFor = time.Second

// flows knows when messages of sessions arrived. A stream is looked at once a
// run, newest message first, and no further than somebody asks; before the
// second scan acts, what came meanwhile is added.
type flows struct {
	store  looker
	limits Limits
	now    time.Time
	seed   maphash.Seed
	// looks are at the streams that have messages within the limits, and silent
	// says of the others when they were last asked.
	looks  map[string]*look
	silent map[uint64]glance
	// seen holds the stream and id of the sessions of earlier pages of the first
	// scan, and page the sessions of this one.
	seen          filter
	page          []registry.Session
	bytes, memory int64
	bounds        lookBounds
	// turns says which streams' turn it is; short: the first scan could not read
	// all of theirs.
	turns turns
	short bool
	// second: the run is in its second scan; unsure: the first left it open for which
	// of several sessions messages count.
	second, unsure bool
}

// Why a stream's messages are not known in this run.
var (
	errMemory = errors.New("a run keeps no more of what it saw of messages")
	errBudget = errors.New("a run reads no more messages")
)

// looker is what is needed of the stream buffer to look at messages.
type looker interface {
	Arrivals(context.Context, []buffer.Arrivals) ([]buffer.Arrived, error)
	Spread(ctx context.Context, stream string, points []time.Time, before buffer.ID, bytes int64) (int, buffer.Arrived, error)
}

func newFlows(store looker, l Limits, bounds lookBounds, t turns, now time.Time) *flows {
	return &flows{
		store: store, limits: l, now: now, seed: maphash.MakeSeed(), looks: make(map[string]*look), silent: make(map[uint64]glance),
		seen: newFilter(), bounds: bounds, turns: t,
	}
}

// glance is when a stream was last asked for new messages.
type glance struct {
	second bool
	at     time.Time
	// emptied is the last id that the stream had when it was found without
	// entries: whose message that was, and whose came before, nobody can know.
	emptied buffer.ID
}

// look is what is known of the messages of one stream.
type look struct {
	glance
	// newest is the newest message that was looked at, and next the oldest: the
	// look goes on below it.
	newest, next buffer.ID
	messages     int
	bytes        int64
	// ended: the part without gaps is over; all: there is nothing older within
	// the limits.
	ended, all bool
	// spread are the limits over which messages were spread.
	spread []time.Duration
	// failed is why the stream cannot be looked at; told: that was said.
	failed error
	told   bool
	seen   map[uint64]*arrival
}

// arrival is what is known of the messages of one session id on one stream.
type arrival struct {
	// newest and before are its two newest messages.
	newest, before buffer.ID
	// by is the session whose messages they are, and updated its time: of
	// several that name this id the one with the newest.
	by      uint64
	updated time.Time
	// counted is how many sessions count as flowing for it, more than one where
	// several have the same time, and again how many of them the second scan saw;
	// live: they live by their time; lasting: they do not expire by themselves.
	counted, again int64
	live, lasting  bool
	// named are those of them that the log is going to name.
	named []string
	// contested: a session that was seen before this was may name the same id.
	contested bool
}

// longest is the longest limit, past which no message matters.
func (f *flows) longest() time.Duration { return max(f.limits.ExpireAfter, f.limits.AbandonAfter) }

// id is the hash of a stream and of a stream session id's hash.
func (f *flows) id(stream string, mark uint64) uint64 {
	return maphash.String(f.seed, stream)*0x9e3779b97f4a7c15 ^ mark
}

func (f *flows) mark(id string) uint64 { return f.hashOf(buffer.SessionRef(id)) }

func (f *flows) hashOf(mark string) uint64 { return maphash.String(f.seed, asNumber(mark)) }

// asNumber brings ids that are the same number into one form: some producers
// write 7 as 7.0 or 07.
func asNumber(id string) string {
	if isPlainNumber(id) {
		return id
	}
	text := strings.TrimSpace(id)
	if n, err := strconv.ParseUint(text, 10, 64); err == nil {
		return strconv.FormatUint(n, 10)
	}
	const exact = 1 << 53 // up to here each whole number has a float of its own
	n, err := strconv.ParseFloat(text, 64)
	if err != nil || strings.ContainsAny(text, "xXpP_") || n < 0 || n >= exact || n != math.Trunc(n) {
		return id
	}
	return strconv.FormatUint(uint64(n), 10)
}

// isPlainNumber reports whether an id is a number in the form that [asNumber] makes.
func isPlainNumber(id string) bool {
	const longest = 19 // digits of what surely fits in 64 bits
	if id == "" || len(id) > longest || id[0] == '0' && id != "0" {
		return false
	}
	for _, c := range []byte(id) {
		if c < '0' || c > '9' {
			return false
		}
	}
	return true
}

func (f *flows) identity(s *registry.Session) uint64 {
	return maphash.String(f.seed, string(s.Layout)+s.Identity)
}

// asks reports whether anything can be known of a session's messages.
func asks(s *registry.Session) bool { return s.HasStream && s.ID != "" }

// mayOwn reports whether messages may count for a session: one without a time
// that can be true is never the newest.
func (f *flows) mayOwn(s *registry.Session) bool { return asks(s) && s.Fault(f.now) == nil }

// turn turns to a page: each of its sessions may be the one for which messages
// count. It visits what was counted for another until now.
func (f *flows) turn(page []registry.Session, displaced func(*arrival)) {
	f.page = page
	for i := range page {
		s := &page[i]
		l := f.looks[s.Stream]
		if l == nil || !f.mayOwn(s) {
			continue
		}
		if a := l.seen[f.mark(s.ID)]; a != nil && (a.by == 0 || s.Updated.After(a.updated)) {
			if d := a.take(f.identity(s), s); d != nil {
				displaced(d)
			}
		}
	}
}

// done notes the sessions of a page that was judged.
func (f *flows) done() {
	if f.second {
		return
	}
	for i := range f.page {
		if s := &f.page[i]; f.mayOwn(s) {
			f.seen.add(f.id(s.Stream, f.mark(s.ID)))
		}
	}
	f.page = nil
}

// seenAgain notes that the second scan counts a session as flowing, and reports
// whether the first did not.
func (a *arrival) seenAgain() (more bool) {
	a.again++
	return a.again > a.counted
}

// take makes messages a session's. It returns them if they were counted for
// another.
func (a *arrival) take(by uint64, s *registry.Session) (displaced *arrival) {
	if a.counted > 0 && a.by != by {
		displaced = &arrival{counted: a.counted, lasting: a.lasting, live: a.live, named: a.named}
		a.counted, a.again, a.live, a.named = 0, 0, false, nil
	}
	a.by, a.updated, a.lasting = by, s.Updated, isLasting(*s)
	return displaced
}

// claim reports whether messages count for a session, and not for another that
// names the same stream and id and has a newer time. The first scan may be
// unsure: another came before, and only the second will know its time.
func (f *flows) claim(s *registry.Session, a *arrival) (counts, unsure bool) {
	by := f.identity(s)
	if a.by != 0 && a.by != by && s.Updated.Before(a.updated) {
		return false, false
	}
	if a.by == 0 || s.Updated.After(a.updated) {
		a.take(by, s)
	}
	unsure = !f.second && a.contested
	f.unsure = f.unsure || unsure
	return true, unsure
}
