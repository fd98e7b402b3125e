package cleanup

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/streamkeeper/streamkeeper/buffer"
	"github.com/streamkeeper/streamkeeper/buffer/registry"
	"github.com/streamkeeper/streamkeeper/burst"
	"github.com/streamkeeper/streamkeeper/internal/golden"
)

var (
	testNow    = time.UnixMilli(1763874856000).UTC()
	testLimits = Limits{ExpireAfter: 24 * time.Hour, RetireAfter: 24 * time.Hour}
)

// ages on both sides of each limit.
var ages = []time.Duration{
	-25 * time.Hour, -24 * time.Hour, -time.Hour, 0, time.Minute, 24*time.Hour - time.Millisecond, 24 * time.Hour,
	24*time.Hour + time.Millisecond, 26*time.Hour + 3*time.Minute, 72 * time.Hour, 400 * 24 * time.Hour,
}

func TestJudgeSession(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	judge := func(what string, s registry.Session) {
		state, reason := JudgeSession(s, Messages{}, testLimits, testNow)
		fmt.Fprintf(&out, "%-36s %-10s %s\n", what, state, reason)
	}
	for _, age := range ages {
		judge("updated "+age.String()+" ago", registry.Session{Updated: testNow.Add(-age)})
	}
	judge("updated in 1970", registry.Session{Updated: time.UnixMilli(0)})
	judge("updated at the end of time", registry.Session{Updated: time.UnixMilli(1<<63 - 1)})
	for _, err := range []error{registry.ErrNoTime, registry.ErrTimeInvalid, registry.ErrNotJSON} {
		judge(err.Error(), registry.Session{Malformed: err})
	}
	for _, age := range ages {
		for what, m := range map[string]Messages{"": {Newest: testNow.Add(-age)}} {
			state, reason := JudgeSession(registry.Session{Updated: testNow.Add(-48 * time.Hour)}, m, testLimits, testNow)
			fmt.Fprintf(&out, "%-36s %-10s %s%s\n", "stale, last message "+age.String()+" ago", state, what, reason)
		}
	}
	state, reason := JudgeSession(registry.Session{Updated: testNow.Add(-48 * time.Hour)}, Messages{Unknown: true}, testLimits, testNow)
	fmt.Fprintf(&out, "%-36s %-10s %s\n", "stale, its messages not known", state, reason)
	golden.Compare(t, "testdata/sessions.golden", out.String())
}

func TestJudgeQuiet(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	judge := func(state string, m Messages, limit, age time.Duration) {
		l := Limits{ExpireAfter: 24 * time.Hour, AbandonAfter: limit}
		abandon, is, reason := JudgeQuiet(registry.Session{Updated: testNow.Add(-age)}, state, m, l, testNow)
		fmt.Fprintf(&out, "%-10q after %-6s updated %-12s ago: %-5v %-10s %s\n", state, limit, age, abandon, is, reason)
	}
	for _, state := range []string{burst.StateOpen, burst.StateWaiting, burst.StateAbandoned, ""} {
		for _, age := range []time.Duration{-time.Hour, 0, time.Hour, time.Hour + time.Millisecond, 2*time.Hour + 3*time.Minute, 23 * time.Hour} {
			judge(state, Messages{}, time.Hour, age)
		}
		judge(state, Messages{}, 0, 23*time.Hour)
		judge(state, Messages{Newest: testNow.Add(-time.Hour)}, time.Hour, 2*time.Hour)
		judge(state, Messages{Newest: testNow.Add(-time.Hour - time.Millisecond)}, time.Hour, 2*time.Hour)
		judge(state, Messages{Unknown: true}, time.Hour, 2*time.Hour)
	}
	golden.Compare(t, "testdata/quiet.golden", out.String())
}

func TestJudgeStream(t *testing.T) {
	t.Parallel()
	names := map[StreamState]string{
		Keep: "keep", Watch: "watch", Retirable: "retire", Droppable: "drop-name",
		WrongType: "wrong type", WrongID: "wrong id", Unknown: "unknown",
	}
	var out strings.Builder
	judge := func(what string, info buffer.StreamInfo, sighted time.Time) {
		state, reason := JudgeStream(StreamFacts{Name: "s", Info: info, Sighted: sighted}, testLimits, testNow)
		fmt.Fprintf(&out, "%-48s %-10s %s\n", what, names[state], reason)
	}
	id := func(age time.Duration) buffer.ID { return buffer.ID{Ms: uint64(testNow.Add(-age).UnixMilli()), Seq: 3} }
	stream := func(id buffer.ID) buffer.StreamInfo {
		return buffer.StreamInfo{Type: "stream", LastID: id, ActiveAgo: -time.Millisecond}
	}
	for _, age := range ages {
		judge("last entry "+age.String()+" ago", stream(id(age)), time.Time{})
	}
	for _, age := range ages {
		judge("never an entry, seen so "+age.String()+" ago", stream(buffer.ID{}), testNow.Add(-age))
	}
	judge("never an entry, never seen so", stream(buffer.ID{}), time.Time{})
	for _, age := range ages {
		judge("no key, seen so "+age.String()+" ago", buffer.StreamInfo{Type: "none"}, testNow.Add(-age))
	}
	judge("no key, never seen so", buffer.StreamInfo{Type: "none"}, time.Time{})
	for _, active := range []time.Duration{0, time.Hour, 24 * time.Hour, 25 * time.Hour} {
		info := stream(id(72 * time.Hour))
		info.ActiveAgo = active
		judge("dead, its group active "+active.String()+" ago", info, time.Time{})
	}
	idle := stream(buffer.ID{})
	idle.ActiveAgo = time.Hour
	judge("never an entry, its group active 1h ago", idle, testNow.Add(-72*time.Hour))
	for _, c := range []struct {
		what  string
		id    buffer.ID
		since []time.Duration // 0 for a group that was not seen before
	}{
		{"dead, a group without consumers, not seen so before", id(72 * time.Hour), []time.Duration{0}},
		{"dead, a group without consumers for 24h", id(72 * time.Hour), []time.Duration{24 * time.Hour}},
		{"dead, a group without consumers for 25h", id(72 * time.Hour), []time.Duration{25 * time.Hour}},
		{"dead, of two such groups one for 1h", id(72 * time.Hour), []time.Duration{25 * time.Hour, time.Hour}},
		{"not for long, a group without consumers for 25h", id(time.Hour), []time.Duration{25 * time.Hour}},
		{"never an entry, such a group for 1h", buffer.ID{}, []time.Duration{time.Hour}},
		{"never an entry, such a group for 25h", buffer.ID{}, []time.Duration{25 * time.Hour}},
	} {
		f := StreamFacts{Name: "s", Info: stream(c.id), Sighted: testNow.Add(-72 * time.Hour)}
		for i, since := range c.since {
			f.Info.WithoutConsumers = append(f.Info.WithoutConsumers, fmt.Sprint(i))
			f.GroupsSince = append(f.GroupsSince, time.Time{})
			if since > 0 {
				f.GroupsSince[i] = testNow.Add(-since)
			}
		}
		state, reason := JudgeStream(f, testLimits, testNow)
		fmt.Fprintf(&out, "%-48s %-10s %s\n", c.what, names[state], reason)
	}
	for _, ms := range []uint64{1, 999_999_999_999, 1 << 63} {
		judge(fmt.Sprintf("last id %d-0", ms), stream(buffer.ID{Ms: ms}), time.Time{})
	}
	judge("another type", buffer.StreamInfo{Type: "string"}, testNow.Add(-72*time.Hour))
	judge("could not be asked", buffer.StreamInfo{Err: errors.New("no")}, testNow.Add(-72*time.Hour))
	golden.Compare(t, "testdata/streams.golden", out.String())
}

func TestTheFilterNeverMissesOne(t *testing.T) {
	t.Parallel()
	const n = 500_000
	f, rng := newFilter(), rand.New(rand.NewPCG(1, 2))
	hashes := make([]uint64, n)
	for i := range hashes {
		hashes[i] = rng.Uint64()
		f.add(hashes[i])
	}
	wrong := 0
	for i, hash := range hashes {
		if !f.has(hash) {
			t.Fatalf("%d is missed", i)
		}
		if f.has(rng.Uint64()) {
			wrong++
		}
	}
	if wrong > n/100 {
		t.Errorf("%d of %d others are taken for it", wrong, n)
	}
	if newFilter().has(hashes[0]) {
		t.Error("a new filter holds something")
	}
}

func TestTheStreamTableKnowsEachName(t *testing.T) {
	t.Parallel()
	table := newStreamTable()
	for i := range 1000 {
		if name := fmt.Sprint(i); !table.list(name) || table.list(name) {
			t.Fatalf("%s is not new once", name)
		}
	}
	if !table.set("7", owned) || !table.set("7", dying) || table.set("unlisted", owned) {
		t.Error("a mark is set on what is not listed, or not on what is")
	}
	if !table.has("7", owned) || !table.has("7", dying) || table.has("7", later) || table.has("8", owned) || table.has("unlisted", owned) {
		t.Error("the marks are not those that were set")
	}
	if table.list("") || !table.list("x") {
		if table.has("", owned) {
			t.Error("the empty name has marks")
		}
	}
}

func TestGuardJudges(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		guard  Guard
		counts Counts
		want   string
	}{
		"nothing to remove":           {DefaultGuard, Counts{Sessions: 100, Streams: 100}, ""},
		"half is allowed":             {DefaultGuard, Counts{Sessions: 100, Expire: 50}, ""},
		"more than half":              {DefaultGuard, Counts{Sessions: 100, Expire: 51}, "51 of 100 sessions would expire"},
		"all, but few":                {DefaultGuard, Counts{Sessions: 20, Expire: 20, Streams: 20, Retire: 20}, ""},
		"all, one more than few":      {DefaultGuard, Counts{Sessions: 21, Expire: 21}, "21 of 21 sessions would expire"},
		"streams":                     {DefaultGuard, Counts{Streams: 10_000, Retire: 5001}, "5 001 of 10 000 streams would be removed"},
		"both":                        {DefaultGuard, Counts{Sessions: 30, Expire: 30, Streams: 30, Retire: 30}, "30 of 30 sessions would expire; 30 of 30 streams would be removed"},
		"turned off":                  {Guard{Share: 1}, Counts{Sessions: 100, Expire: 100, LeftSessions: 1000}, ""},
		"a share of nothing":          {Guard{Share: 0, Min: 0}, Counts{Sessions: 100, Expire: 1}, "1 of 100 sessions would expire"},
		"the sessions are gone":       {DefaultGuard, Counts{LeftSessions: 100}, "the last run left 100 sessions, and now there are 0"},
		"half of them are":            {DefaultGuard, Counts{LeftSessions: 100, Lasting: 50, Sessions: 50}, ""},
		"those with a TTL don't tell": {DefaultGuard, Counts{Sessions: 5}, ""},
		"few were left":               {DefaultGuard, Counts{LeftSessions: 20}, ""},
		"the streams are gone":        {DefaultGuard, Counts{LeftStreams: 100, Streams: 49}, "the last run left 100 streams, and now there are 49"},
		"every session, all closed":   {DefaultGuard, Counts{Sessions: 5, Expire: 5}, ""},
		"every session, one open":     {DefaultGuard, Counts{Sessions: 12, Expire: 12, Open: true}, "all 12 sessions would expire, and not all of them are closed"},
		"three sessions, one open":    {DefaultGuard, Counts{Sessions: 3, Expire: 3, Open: true}, "all 3 sessions would expire, and not all of them are closed"},
		"both sessions, one open":     {DefaultGuard, Counts{Sessions: 2, Expire: 2, Open: true}, ""},
		"all sessions but one":        {DefaultGuard, Counts{Sessions: 12, Expire: 11, Open: true}, ""},
		"every stream, and sessions":  {DefaultGuard, Counts{Sessions: 1, Streams: 3, Retire: 3}, "all 3 streams would be removed, while sessions remain"},
		"every stream, no sessions":   {DefaultGuard, Counts{Sessions: 2, Expire: 2, Streams: 3, Retire: 3}, ""},
		"both streams, and sessions":  {DefaultGuard, Counts{Sessions: 1, Streams: 2, Retire: 2}, ""},
		"every session, turned off":   {Guard{Share: 1}, Counts{Sessions: 12, Expire: 12, Open: true, Streams: 9, Retire: 9}, ""},
		"the registry has grown":      {DefaultGuard, Counts{LeftSessions: 100, Lasting: 500, Sessions: 500, LeftStreams: 5, Streams: 100}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			if got := tt.guard.Judge(tt.counts); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestAHeldDecisionStandsUntilItIsAnother(t *testing.T) {
	t.Parallel()
	since := testNow.Add(-30 * time.Minute)
	first := Counts{Sessions: 1000, Expire: 600, Lasting: 1000, LastingExpire: 600, Streams: 300, Retire: 200}
	few := Counts{Sessions: 12, Expire: 12, Lasting: 12, LastingExpire: 12, Open: true}
	for name, tt := range map[string]struct {
		first  Counts
		change func(*Counts)
		stands bool
	}{
		"the same":              {first, func(*Counts) {}, true},
		"fewer":                 {first, func(c *Counts) { c.Expire, c.LastingExpire, c.Retire = 300, 300, 10 }, true},
		"a tenth more":          {first, func(c *Counts) { c.Expire, c.LastingExpire = 640, 640 }, true},
		"more than a tenth":     {first, func(c *Counts) { c.Expire, c.LastingExpire = 661, 661 }, false},
		"more streams":          {first, func(c *Counts) { c.Retire = 221 }, false},
		"few and one more":      {few, func(c *Counts) { c.Sessions, c.Expire, c.Lasting, c.LastingExpire = 13, 13, 13, 13 }, true},
		"few and two more":      {few, func(c *Counts) { c.Sessions, c.Expire, c.Lasting, c.LastingExpire = 14, 14, 14, 14 }, false},
		"few, and now a stream": {few, func(c *Counts) { c.Streams, c.Retire = 1, 1 }, false},
		"carried out in part": {first, func(c *Counts) {
			*c = Counts{Sessions: 500, Expire: 100, Lasting: 500, LastingExpire: 100, Streams: 100}
		}, true},
		"the sessions vanish": {first, func(c *Counts) { *c = Counts{Streams: 300, Retire: 200} }, false},
		"the streams vanish":  {first, func(c *Counts) { c.Streams, c.Retire = 0, 0 }, false},
	} {
		t.Run(name, func(t *testing.T) {
			counts := tt.first
			tt.change(&counts)
			at, stands := counts.stands(tt.first.held(since, 5), 5)
			if stands != tt.stands || stands && !at.Equal(since) {
				t.Errorf("stands %v since %s", stands, at)
			}
			if _, stands := counts.stands(tt.first.held(since, 5), 6); stands {
				t.Error("a decision about other keys stands")
			}
		})
	}
	if _, stands := first.stands(nil, 5); stands {
		t.Error("a decision that was never noted stands")
	}
}

func TestTheGuardReleasesAfterItsHold(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		hold, stood time.Duration
		want        bool
	}{
		{time.Hour, 59 * time.Minute, false},
		{time.Hour, time.Hour, true},
		{0, 1000 * time.Hour, false},
		{time.Hour, -time.Hour, false},
	} {
		if got := (Guard{Hold: tt.hold}).releases(testNow.Add(-tt.stood), testNow); got != tt.want {
			t.Errorf("hold %s, stood %s: releases %v", tt.hold, tt.stood, got)
		}
	}
}
