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
	b.walk(nil)
	b.append("a", 1)
	b.walk(nil)
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

// walk visits all streams, as a run does; meanwhile is called midway.
func (b *books) walk(meanwhile func()) {
	b.t.Helper()
	due := b.due()
	b.open(b.now, due, b.census(due))
	for i, name := range []string{"b", "a"} {
		if i == 1 && meanwhile != nil {
			meanwhile()
		}
		b.measured(name, b.length(name), b.now)
	}
	b.walked(b.now, 2)
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

// noticed checks that the books show that a stream woke, and that it is visited
// from then on.
func (b *books) noticed(stream string) {
	b.t.Helper()
	if why := b.look(); why != othersGrew {
		b.t.Fatalf("%q", why)
	}
	b.walk(nil)
	if !b.grows(stream, b.now) {
		b.t.Error("the stream that woke is not visited")
	}
	if why := b.look(); why != "" {
		b.t.Errorf("%q after all were visited", why)
	}
}

func TestASingleEntryElsewhereIsNoticed(t *testing.T) {
	b := openBooks(t)
	b.append("a", 100)
	b.append("b", 1)
	b.noticed("b")
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
	b.open(b.now, due, read)
	b.measured("a", b.length("a"), b.now)
	b.measured("b", b.length("b"), b.now)
	b.walked(b.now, 2)
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

func TestAnEntryThatComesBehindTheWalkIsNoticed(t *testing.T) {
	b := openBooks(t)
	b.walk(func() { b.append("a", 5); b.append("b", 1) })
	b.noticed("b")
}

func TestReasonsToVisitAll(t *testing.T) {
	for _, c := range []struct {
		what string
		do   func(*books)
		want whyAll
	}{
		{"a name is listed of a stream that was there before", func(b *books) { b.list("c") }, listChanged},
		{"a name goes", func(b *books) { b.rdb.SRem(b.t.Context(), "streams", "b") }, listChanged},
		{"the counts begin anew", func(b *books) { b.rdb.ConfigResetStat(b.t.Context()) }, uncountable},
		{"they did, past what they were at first", func(b *books) {
			b.append("a", 50)
			if why := b.look(); why != "" {
				b.t.Fatal(why)
			}
			b.rdb.ConfigResetStat(b.t.Context())
			b.census(b.due())
			b.append("a", 30)
		}, uncountable},
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

func TestWhereTheBooksNeverAgreeNoneAreKeptForAWhile(t *testing.T) {
	b := openBooks(t)
	for n := range maxFailures {
		b.append("elsewhere", 1)
		if why := b.mustVisitAll(b.now); why != "" {
			t.Fatal(why)
		}
		why := b.look()
		if last := n == maxFailures-1; last != (why == pausing) || !last && why != othersGrew {
			t.Fatalf("the books disagree for the %d. time, and the answer is %q", n+1, why)
		}
		if why == othersGrew {
			b.walk(nil)
		}
	}
	if len(b.growing)+len(b.lengths) > 0 {
		t.Error("what is not used is kept")
	}
	if why := b.mustVisitAll(b.now.Add(-time.Hour)); why != notKnown {
		t.Errorf("%q after the clock was set back", why)
	}
	until := b.now.Add(DefaultVisitAll)
	for ; b.now.Before(until); b.now = b.now.Add(period) {
		if why := b.mustVisitAll(b.now); why != pausing {
			t.Fatalf("%q, want no attempt", why)
		}
	}
	if why := b.mustVisitAll(b.now); why != notKnown {
		t.Errorf("%q when the time has come to try again", why)
	}
	b.walk(nil)
	b.append("a", 1)
	if why := b.look(); why != othersGrew {
		t.Errorf("%q when it is not known yet which grow", why)
	}
	b.walk(nil)
	if why := b.look(); why != "" || !b.has("a") {
		t.Errorf("%q, the streams that grow are %q", why, b.due())
	}
}

func TestBooksThatAgreeAgainWereNoFailure(t *testing.T) {
	b := openBooks(t)
	for range 3 * maxFailures {
		b.append("b", 1)
		b.rest("b")
		if why := b.look(); why != othersGrew {
			t.Fatal(why)
		}
		b.walk(nil)
		if why := b.look(); why != "" {
			t.Fatal(why)
		}
		b.rest("b")
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
	b.walk(nil)
	if !b.grows("a", b.now) {
		t.Error("it woke, and was not noticed")
	}
}

func TestWhatIsRememberedHasBounds(t *testing.T) {
	b := openBooks(t)
	for i := range maxGrowing + 10 {
		b.measured(fmt.Sprint("car ", i), 1, b.now)
	}
	if len(b.growing) != maxGrowing {
		t.Errorf("%d names are remembered", len(b.growing))
	}
	b.walked(b.now, maxGrowing+10)
	if why := b.mustVisitAll(b.now); why != pausing || len(b.growing) > 0 {
		t.Errorf("%q with %d names", why, len(b.growing))
	}

	b = openBooks(t)
	for i := range 10_000 {
		b.lengths[uint32(i)] = 1
	}
	b.walk(nil)
	if why := b.mustVisitAll(b.now); why != notKnown || len(b.lengths) > 0 {
		t.Errorf("%q with %d lengths of 2 streams", why, len(b.lengths))
	}

	b = openBooks(t)
	b.open(b.now, b.due(), b.census(b.due()))
	b.walked(b.now, 0)
	if len(b.due()) > 0 {
		t.Errorf("%q are due, though no longer listed", b.due())
	}
}

func TestAStreamIsKeptWithTheLengthThatIsGiven(t *testing.T) {
	b := openBooks(t)
	b.keep("b", b.length("b"))
	b.append("b", 3)
	if why := b.look(); why != "" {
		t.Errorf("%q, but all was appended to streams that are visited", why)
	}
	if b.grows("a", b.now) == false || b.explained != 3 {
		t.Errorf("%d entries are explained, want 3", b.explained)
	}
}
