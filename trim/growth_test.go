package trim

import (
	"fmt"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/streamkeeper/streamkeeper/buffer"
)

// books are opened over the streams a, which grows, and b, which does not.
type books struct {
	*world
	*growth
	now time.Time
}

func openBooks(t *testing.T) *books {
	t.Helper()
	b := &books{world: realWorld(t), growth: newGrowth(DefaultVisitAll), now: time.Now()}
	b.list("a", "b")
	b.append("a", 10)
	b.append("b", 10)
	b.walk("")
	b.append("a", 1)
	b.walk(notKnown)
	if got := b.due(); len(got) != 1 || got[0] != "a" {
		t.Fatalf("%q are due, want the one that grew", got)
	}
	return b
}

func (b *books) append(stream string, n int) {
	b.t.Helper()
	for range n {
		if err := b.rdb.XAdd(b.t.Context(), &redis.XAddArgs{Stream: "stream:" + stream, Values: []string{"d", "x"}}).Err(); err != nil {
			b.t.Fatal(err)
		}
	}
}

func (b *books) census(due []string) buffer.Census {
	b.t.Helper()
	c, err := b.store.Census(b.t.Context(), due)
	if err != nil {
		b.t.Fatal(err)
	}
	return c
}

// walk visits all streams, as a run does.
func (b *books) walk(why whyAll) {
	b.t.Helper()
	listed := b.census(nil).Names
	b.walkAll()
	for _, name := range []string{"a", "b"} {
		b.measured(name, b.length(name), b.now)
	}
	if b.prune(b.now, why, 2) {
		due := b.due()
		b.open(b.now, due, b.census(due), 2, listed)
	}
}

func (b *books) look() whyAll { return b.settle(b.now, b.due(), b.census(b.due())) }

func TestWhileTheBooksAgreeOnlyWhatGrowsIsVisited(t *testing.T) {
	b := openBooks(t)
	for run := range 3 {
		b.append("a", 100)
		if why := b.look(); why != "" {
			t.Fatalf("run %d: %s", run, why)
		}
		b.removed("a", b.rdb.XTrimMaxLen(t.Context(), "stream:a", 20).Val())
	}
}

func TestASingleEntryElsewhereIsNoticed(t *testing.T) {
	b := openBooks(t)
	b.append("a", 100)
	b.append("b", 1)
	if why := b.look(); why != othersGrew {
		t.Fatalf("%q", why)
	}
	b.walk(othersGrew)
	if !b.grows("b", b.now) {
		t.Error("the stream that woke is not visited")
	}
	if why := b.look(); why != "" {
		t.Errorf("%q after all were visited", why)
	}
}

func TestWhatIsAppendedDuringACensusIsNoSign(t *testing.T) {
	b := openBooks(t)
	due := b.due()
	before := b.census(due)
	b.append("a", 3)
	read := b.census(due)
	b.append("a", 4) // after its length was read
	read.Before, read.After = before.Before, b.census(due).After
	if why := b.settle(b.now, due, read); why != "" {
		t.Errorf("%q, but all was appended to the stream that grows", why)
	}
	b.append("b", 1)
	if b.look() != othersGrew {
		t.Error("the entries of a census hide others for ever")
	}
}

func TestBooksOpenedWhileStreamsGrewAreAsGood(t *testing.T) {
	b := openBooks(t)
	due := b.due()
	before := b.census(due)
	b.append("a", 5)
	read := b.census(due)
	b.append("a", 6)
	read.Before, read.After = before.Before, b.census(due).After
	b.open(b.now, due, read, 2, 2)
	for range 2 {
		if why := b.look(); why != "" {
			t.Errorf("%q, but all was appended to the stream that grows", why)
		}
	}
	b.append("b", 12)
	if why := b.look(); why != othersGrew {
		t.Errorf("%q with more entries than can have come meanwhile", why)
	}
}

func TestReasonsToVisitAll(t *testing.T) {
	for _, c := range []struct {
		what string
		do   func(*books)
		want whyAll
	}{
		{"a name is listed of a stream that was there before", func(b *books) { b.list("c") }, listChanged},
		{"a name goes", func(b *books) { b.rdb.SRem(b.t.Context(), "streams", "b") }, listChanged},
		{"the counts begin anew", func(b *books) { b.rdb.ConfigResetStat(b.t.Context()) }, countsAnew},
		{"a stream grew by itself", func(b *books) {
			// As if a module had written to it: no command tells of it.
			b.growing["a"].length -= 5
		}, unexpected},
	} {
		t.Run(c.what, func(t *testing.T) {
			b := openBooks(t)
			if c.do(b); b.look() != c.want {
				t.Errorf("it is not noticed")
			}
		})
	}
}

func TestAllAreVisitedBeforeTheTimeIsUp(t *testing.T) {
	b := openBooks(t)
	opened := b.now
	for b.now = b.now.Add(period); b.mustVisitAll(b.now) == ""; b.now = b.now.Add(period) {
		if why := b.look(); why != "" {
			t.Fatal(why)
		}
	}
	if since := b.now.Sub(opened); since > DefaultVisitAll || since <= DefaultVisitAll-period {
		t.Errorf("all are visited after %s", since)
	}
	if why := b.mustVisitAll(opened.Add(-time.Second)); why != longAgo {
		t.Errorf("a clock that was set back: %q", why)
	}
}

func TestWhereOthersGrowAllTheTimeNobodyAsksInVain(t *testing.T) {
	b := openBooks(t)
	for range vainWalks {
		b.append("elsewhere", 1)
		if why := b.mustVisitAll(b.now); why != "" {
			t.Fatal(why)
		}
		if why := b.look(); why != othersGrew {
			t.Fatal(why)
		}
		b.walk(othersGrew)
	}
	for ; b.now.Before(b.idle); b.now = b.now.Add(period) {
		if why := b.mustVisitAll(b.now); why != othersAlways {
			t.Fatalf("%q, want no attempt", why)
		}
		b.walk(othersAlways)
	}
	if why := b.mustVisitAll(b.now); why != notKnown {
		t.Errorf("%q when the time has come to try again", why)
	}
	if b.walk(notKnown); b.mustVisitAll(b.now.Add(period)) != "" {
		t.Error("it is not tried again")
	}
}

func TestAStreamThatNoLongerGrowsIsVisitedWithTheOthers(t *testing.T) {
	b := openBooks(t)
	b.now = b.now.Add(restAfter*DefaultVisitAll - time.Second)
	if !b.grows("a", b.now) {
		t.Error("it is forgotten too soon")
	}
	b.now = b.now.Add(time.Second)
	if b.grows("a", b.now) {
		t.Error("it counts as one that grows for ever")
	}
	b.rest("a")
	if len(b.due()) != 0 {
		t.Errorf("%q are due", b.due())
	}
	b.append("a", 1)
	if b.walk(longAgo); !b.grows("a", b.now) {
		t.Error("it woke, and was not noticed")
	}
}

func TestWhatIsRememberedHasBounds(t *testing.T) {
	b := openBooks(t)
	b.walkAll()
	for i := range maxGrowing + 1 {
		name := fmt.Sprint("car ", i)
		b.measured(name, 1, b.now)
	}
	if b.prune(b.now, longAgo, maxGrowing+1) || len(b.growing) > 0 {
		t.Errorf("%d names are remembered", len(b.growing))
	}
	for i := range 10_000 {
		b.lengths[uint32(i)] = 1
	}
	b.idle = time.Time{}
	if b.walkAll(); b.prune(b.now, longAgo, 10) || len(b.lengths) > 0 {
		t.Errorf("%d lengths of 10 streams are remembered", len(b.lengths))
	}
	b = openBooks(t)
	if b.walkAll(); !b.prune(b.now, longAgo, 2) || len(b.due()) > 0 {
		t.Errorf("%q are due, though no longer listed", b.due())
	}
}
