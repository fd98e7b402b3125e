package cleanup

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/streamkeeper/streamkeeper/buffer"
	"github.com/streamkeeper/streamkeeper/buffer/registry"
	"github.com/streamkeeper/streamkeeper/burst"
)

var update = flag.Bool("update", false, "write the golden files anew")

// golden compares with a file in testdata, or writes it.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s differs (go test -update writes it anew); got:\n%s", path, got)
	}
}

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
	var out strings.Builder
	judge := func(what string, s buffer.Session) {
		life, reason := JudgeSession(s, testLimits, testNow)
		fmt.Fprintf(&out, "%-36s %-10s %s\n", what, life, reason)
	}
	for _, age := range ages {
		judge("updated "+age.String()+" ago", buffer.Session{Updated: testNow.Add(-age)})
	}
	judge("updated in 1970", buffer.Session{Updated: time.UnixMilli(0)})
	judge("updated at the end of time", buffer.Session{Updated: time.UnixMilli(1<<63 - 1)})
	for _, err := range []error{registry.ErrNoTime, registry.ErrTimeInvalid, registry.ErrNotJSON} {
		judge(err.Error(), buffer.Session{Malformed: err})
	}
	golden(t, "sessions.golden", out.String())
}

func TestJudgeQuiet(t *testing.T) {
	var out strings.Builder
	judge := func(state string, limit, age time.Duration) {
		l := Limits{ExpireAfter: 24 * time.Hour, AbandonAfter: limit}
		abandon, reason := JudgeQuiet(buffer.Session{Updated: testNow.Add(-age)}, state, l, testNow)
		fmt.Fprintf(&out, "%-10q after %-6s updated %-12s ago: %-5v %s\n", state, limit, age, abandon, reason)
	}
	for _, state := range []string{burst.StateOpen, burst.StateWaiting, burst.StateAbandoned, ""} {
		for _, age := range []time.Duration{-time.Hour, 0, time.Hour, time.Hour + time.Millisecond, 2*time.Hour + 3*time.Minute, 23 * time.Hour} {
			judge(state, time.Hour, age)
		}
		judge(state, 0, 23*time.Hour)
	}
	golden(t, "quiet.golden", out.String())
}

func TestJudgeStream(t *testing.T) {
	names := map[Fate]string{
		Keep: "keep", Watch: "watch", Retirable: "retire", Droppable: "drop-name",
		WrongType: "wrong type", WrongID: "wrong id", Unknown: "unknown",
	}
	var out strings.Builder
	judge := func(what string, info buffer.StreamInfo, sighted time.Time) {
		fate, reason := JudgeStream(StreamFacts{"s", info, sighted}, testLimits, testNow)
		fmt.Fprintf(&out, "%-48s %-10s %s\n", what, names[fate], reason)
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
	for _, ms := range []uint64{1, 999_999_999_999, 1 << 63} {
		judge(fmt.Sprintf("last id %d-0", ms), stream(buffer.ID{Ms: ms}), time.Time{})
	}
	judge("another type", buffer.StreamInfo{Type: "string"}, testNow.Add(-72*time.Hour))
	judge("could not be asked", buffer.StreamInfo{Err: errors.New("no")}, testNow.Add(-72*time.Hour))
	golden(t, "streams.golden", out.String())
}

func TestOwnersNeverMissOne(t *testing.T) {
	const n = 200_000
	o := newOwners(n)
	for i := range n {
		o.add(fmt.Sprintf("stream %d", i))
	}
	for i := range n {
		if !o.has(fmt.Sprintf("stream %d", i)) {
			t.Fatalf("stream %d is missed", i)
		}
	}
	wrong := 0
	for i := range n {
		if o.has(fmt.Sprintf("other %d", i)) {
			wrong++
		}
	}
	if wrong > n/500 {
		t.Errorf("%d of %d others are taken for owned", wrong, n)
	}
	if o.add(""); !o.has("") {
		t.Error("the empty name is missed")
	}
	if newOwners(0).has("") {
		t.Error("a new filter owns the empty name")
	}
}

func TestBrakeJudges(t *testing.T) {
	for name, tt := range map[string]struct {
		brake  Brake
		counts Counts
		want   string
	}{
		"nothing to remove":           {DefaultBrake, Counts{Sessions: 100, Streams: 100}, ""},
		"half is allowed":             {DefaultBrake, Counts{Sessions: 100, Expire: 50}, ""},
		"more than half":              {DefaultBrake, Counts{Sessions: 100, Expire: 51}, "51 of 100 sessions would expire"},
		"all, but few":                {DefaultBrake, Counts{Sessions: 20, Expire: 20, Streams: 20, Retire: 20}, ""},
		"all, one more than few":      {DefaultBrake, Counts{Sessions: 21, Expire: 21}, "21 of 21 sessions would expire"},
		"streams":                     {DefaultBrake, Counts{Streams: 10_000, Retire: 5001}, "5 001 of 10 000 streams would be removed"},
		"both":                        {DefaultBrake, Counts{Sessions: 30, Expire: 30, Streams: 30, Retire: 30}, "30 of 30 sessions would expire; 30 of 30 streams would be removed"},
		"turned off":                  {Brake{Share: 1}, Counts{Sessions: 100, Expire: 100, LeftSessions: 1000}, ""},
		"a share of nothing":          {Brake{Share: 0, Min: 0}, Counts{Sessions: 100, Expire: 1}, "1 of 100 sessions would expire"},
		"the sessions are gone":       {DefaultBrake, Counts{LeftSessions: 100}, "the last run left 100 sessions, and now there are 0"},
		"half of them are":            {DefaultBrake, Counts{LeftSessions: 100, HashSessions: 50, Sessions: 50}, ""},
		"those with a TTL don't tell": {DefaultBrake, Counts{Sessions: 5}, ""},
		"few were left":               {DefaultBrake, Counts{LeftSessions: 20}, ""},
		"the streams are gone":        {DefaultBrake, Counts{LeftStreams: 100, Streams: 49}, "the last run left 100 streams, and now there are 49"},
		"the registry has grown":      {DefaultBrake, Counts{LeftSessions: 100, HashSessions: 500, Sessions: 500, LeftStreams: 5, Streams: 100}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			if got := tt.brake.Judge(tt.counts); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestAHeldDecisionStandsUntilItIsAnother(t *testing.T) {
	since := testNow.Add(-30 * time.Minute)
	first := Counts{Sessions: 1000, Expire: 600, HashSessions: 1000, HashExpire: 600, Streams: 300, Retire: 200}
	held := first.held(since)
	for name, tt := range map[string]struct {
		change func(*Counts)
		stands bool
	}{
		"the same":             {func(*Counts) {}, true},
		"fewer":                {func(c *Counts) { c.Expire, c.HashExpire, c.Retire = 300, 300, 10 }, true},
		"a few more":           {func(c *Counts) { c.Expire, c.HashExpire = 640, 640 }, true},
		"clearly more":         {func(c *Counts) { c.Expire, c.HashExpire = 661, 661 }, false},
		"clearly more streams": {func(c *Counts) { c.Retire = 221 }, false},
		"carried out in part": {func(c *Counts) {
			*c = Counts{Sessions: 500, Expire: 100, HashSessions: 500, HashExpire: 100, Streams: 100}
		}, true},
		"the sessions vanish": {func(c *Counts) { *c = Counts{Streams: 300, Retire: 200} }, false},
		"the streams vanish":  {func(c *Counts) { c.Streams, c.Retire = 0, 0 }, false},
	} {
		t.Run(name, func(t *testing.T) {
			counts := first
			tt.change(&counts)
			at, stands := DefaultBrake.stands(counts, held)
			if stands != tt.stands || stands && !at.Equal(since) {
				t.Errorf("stands %v since %s", stands, at)
			}
		})
	}
	if _, stands := DefaultBrake.stands(first, nil); stands {
		t.Error("a decision that was never noted stands")
	}
}

func TestTheBrakeLetsGoAfterItsHold(t *testing.T) {
	for _, tt := range []struct {
		hold, stood time.Duration
		want        bool
	}{
		{time.Hour, 59 * time.Minute, false},
		{time.Hour, time.Hour, true},
		{0, 1000 * time.Hour, false},
		{time.Hour, -time.Hour, false},
	} {
		if got := (Brake{Hold: tt.hold}).letsGo(testNow.Add(-tt.stood), testNow); got != tt.want {
			t.Errorf("hold %s, stood %s: lets go %v", tt.hold, tt.stood, got)
		}
	}
}
