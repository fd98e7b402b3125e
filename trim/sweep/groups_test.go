package sweep

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/streamkeeper/streamkeeper/internal/redistest"
	"github.com/streamkeeper/streamkeeper/trim"
)

func contextThatEnds(t *testing.T) (context.Context, context.CancelFunc) {
	return context.WithCancel(t.Context())
}

const aMoment = 20 * time.Millisecond

// delivered reads entries for a group and acknowledges all but the last ones.
var delivered = redis.NewScript(`
local read = redis.call('XREADGROUP', 'GROUP', ARGV[1], 'c', 'COUNT', ARGV[2], 'STREAMS', KEYS[1], '>')
if not read then
	return redis.error_reply('there is nothing to read')
end
local messages = read[1][2]
for i = 1, #messages - tonumber(ARGV[3]) do
	redis.call('XACK', KEYS[1], ARGV[1], messages[i][1])
end
return #messages`)

// read delivers n entries to the group; all but the last unacked ones are acknowledged.
func (w *fixture) read(group string, n, unacked int64) {
	w.t.Helper()
	if err := delivered.Run(w.t.Context(), w.rdb, []string{"stream:car"}, group, n, unacked).Err(); err != nil {
		w.t.Fatal(err)
	}
}

func (w *fixture) group(name, from string) {
	w.t.Helper()
	if err := w.rdb.XGroupCreate(w.t.Context(), "stream:car", name, from).Err(); err != nil {
		w.t.Fatal(err)
	}
}

func TestGroupsHoldBackWhatTheyNeed(t *testing.T) {
	ids := []string{"9-0", "9-9", "9-10", "9-11", "10-0", "99-1", "100-0", "100-5", "1000-0"}
	for _, c := range []struct {
		name   string
		groups func(w *fixture)
		keep   int64 // entries that stay under max_length=1, exactly
		heldBy string
	}{
		{"no group", func(*fixture) {}, 1, ""},
		{"a group that never read", func(w *fixture) { w.group("lazy", "0") }, 9, "lazy"},
		{"a group that begins at the end", func(w *fixture) { w.group("new", "$") }, 1, ""},
		{"a group created at 9-9, which is before 9-10", func(w *fixture) { w.group("g", "9-9") }, 7, "g"},
		{"a group created at 9-10, which is after 9-9", func(w *fixture) { w.group("g", "9-10") }, 6, "g"},
		{"a group created at 99-1, which is before 100-0", func(w *fixture) { w.group("g", "99-1") }, 3, "g"},
		{"two groups, at 9-9 and at 9-8, which is before it", func(w *fixture) { w.group("a", "9-9"); w.group("b", "9-8") }, 8, "b"},
		{"read up to 9-10, and 9-9 not acknowledged", func(w *fixture) {
			w.group("g", "9-0")
			w.read("g", 1, 1)
			w.read("g", 1, 0)
		}, 8, "g"},
		{"all read and acknowledged", func(w *fixture) { w.group("g", "0"); w.read("g", 9, 0) }, 1, ""},
		{"half read and acknowledged", func(w *fixture) { w.group("g", "0"); w.read("g", 5, 0) }, 4, "g"},
		{"all read, 10-0 and younger not acknowledged", func(w *fixture) { w.group("g", "0"); w.read("g", 9, 5) }, 5, "g"},
		{"all read, nothing acknowledged", func(w *fixture) { w.group("g", "0"); w.read("g", 9, 9) }, 9, "g"},
		{"the slowest of several", func(w *fixture) {
			w.group("fast", "0")
			w.read("fast", 9, 0)
			w.group("slow", "0")
			w.read("slow", 4, 2)
		}, 7, "slow"},
	} {
		for _, exact := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, exact %t", c.name, exact), func(t *testing.T) {
				// Approximate trimming is as precise with one entry a node.
				w := realFixture(t, "--stream-node-max-entries", "1")
				w.fill("car", 10, ids...)
				c.groups(w)
				respect := func(o *Options) { o.RespectGroups = true }
				planned := int64(0)
				reason := ""
				if _, err := w.trimmer(trim.Policy{MaxLength: 1, Exact: exact}, respect).Plan(t.Context(), func(a trim.Cut) { planned, reason = a.Entries, a.Reason() }); err != nil {
					t.Fatal(err)
				}
				for range 2 {
					w.run(w.trimmer(trim.Policy{MaxLength: 1, Exact: exact}, respect))
				}
				if n := w.length("car"); n != c.keep {
					t.Errorf("%d entries stayed, want %d: %q", n, c.keep, w.remaining("car"))
				}
				if held := w.heldBy(); held != c.heldBy {
					t.Errorf("held back by %q, want %q", held, c.heldBy)
				}
				if c.heldBy != "" && planned > 0 && !strings.Contains(reason, fmt.Sprintf("consumer group %q", c.heldBy)) {
					t.Errorf("the plan's reason is %q", reason)
				}
			})
		}
	}
}

// heldBy is the group that the last call named.
func (w *fixture) heldBy() string {
	if len(w.store.outcomes) == 0 {
		return ""
	}
	return w.store.outcomes[len(w.store.outcomes)-1].HeldBy
}

func TestAgeRespectsGroupsToo(t *testing.T) {
	for _, exact := range []bool{true, false} {
		t.Run(fmt.Sprintf("exact %t", exact), func(t *testing.T) {
			w := realFixture(t)
			ids := times(time.Now().Add(-2*time.Hour), 1000)
			w.fill("car", 10, ids...)
			w.group("storage", ids[499])
			w.run(w.trimmer(trim.Policy{MaxAge: time.Hour, Exact: exact}, func(o *Options) { o.RespectGroups = true }))
			if n := w.length("car"); n != 500 {
				t.Errorf("%d entries stayed, want 500", n)
			}
			if held := w.heldBy(); held != "storage" {
				t.Errorf("held back by %q", held)
			}
		})
	}
}

func TestAnIdleGroupHoldsNothingBackAfterAWhile(t *testing.T) {
	w := realFixture(t)
	w.fill("car", 10, times(time.Now().Add(-time.Hour), 1000)...)
	w.group("idle", "0")
	w.read("idle", 10, 10)
	respect := func(idleAfter time.Duration) func(*Options) {
		return func(o *Options) { o.RespectGroups, o.GroupIdleAfter = true, idleAfter }
	}
	w.run(w.trimmer(trim.Policy{MaxLength: 100}, respect(time.Hour)))
	if n := w.length("car"); n != 1000 {
		t.Fatalf("%d entries stayed while the group was active", n)
	}
	time.Sleep(aMoment) // Redis alone says how long a consumer has been idle
	w.run(w.trimmer(trim.Policy{MaxLength: 100}, respect(aMoment/4)))
	if n := w.length("car"); n != 100 {
		t.Errorf("%d entries stayed, want 100", n)
	}
}

func TestAGroupWithoutConsumersCountsUntilItWasSeenSoForAWhile(t *testing.T) {
	w := realFixture(t)
	w.fill("car", 10, times(time.Now().Add(-time.Hour), 1000)...)
	w.group("dead", "0")
	tr := w.trimmer(trim.Policy{MaxLength: 100}, func(o *Options) { o.RespectGroups, o.GroupIdleAfter = true, time.Hour })
	now := time.Now()
	for _, step := range []struct {
		after time.Duration
		want  int64
	}{{0, 1000}, {30 * time.Minute, 1000}, {59 * time.Minute, 1000}, {61 * time.Minute, 100}} {
		w.store.now = now.Add(step.after)
		// Each run is that of another process, and plan agrees.
		tr = w.trimmer(trim.Policy{MaxLength: 100}, func(o *Options) { o.RespectGroups, o.GroupIdleAfter = true, time.Hour })
		before, planned := w.length("car"), int64(0)
		if _, err := tr.Plan(t.Context(), func(a trim.Cut) { planned = a.Entries }); err != nil {
			t.Fatal(err)
		}
		if planned != before-step.want {
			t.Errorf("after %s the plan removes %d entries, want %d", step.after, planned, before-step.want)
		}
		w.run(tr)
		if n := w.length("car"); n != step.want {
			t.Fatalf("after %s %d entries stayed, want %d", step.after, n, step.want)
		}
	}
	notes := func() int64 { return w.rdb.ZCard(t.Context(), "streamkeeper:groups").Val() }
	if n := notes(); n != 1 {
		t.Errorf("%d groups without consumers are noted, want 1", n)
	}
	w.rdb.SRem(t.Context(), "streams", "car")
	w.run(tr)
	if n := notes(); n != 0 {
		t.Errorf("%d groups of a stream that is gone are remembered", n)
	}
}

// A group that needs none of what is to go holds nothing back, however large the
// macro nodes are, and however much memory its pending list takes.
func TestAGroupThatNeedsTheNewestEntriesHoldsNoOthersBack(t *testing.T) {
	for _, c := range []struct {
		name   string
		policy trim.Policy
		nodes  string // entries of a macro node
		needed int    // of the newest entries
		ghosts int    // pending ids without entries
		left   int64
	}{
		{"one macro node", trim.Policy{MaxLength: 100}, "0", 50, 0, 100},
		{"one macro node, as many as the limit", trim.Policy{MaxLength: 100}, "0", 100, 0, 100},
		{"one macro node, more than the limit", trim.Policy{MaxLength: 100}, "0", 200, 0, 200},
		{"one macro node, by age", trim.Policy{MaxAge: time.Minute}, "0", 50, 0, 50},
		{"a large pending list", trim.Policy{MaxLength: 100}, "100", 0, 20_000, 100},
		{"a large pending list, exact", trim.Policy{MaxLength: 100, Exact: true}, "100", 0, 20_000, 100},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := realFixture(t)
			ctx := t.Context()
			w.rdb.ConfigSet(ctx, "stream-node-max-entries", c.nodes)
			w.rdb.ConfigSet(ctx, "stream-node-max-bytes", "0")
			ids := times(time.Now().Add(-2*time.Hour), 3000+c.ghosts)
			w.fill("car", 10, ids...)
			w.group("g", "0")
			if c.ghosts > 0 {
				w.read("g", int64(len(ids)), int64(len(ids)))
				w.rdb.XTrimMaxLen(ctx, "stream:car", 3000)
				w.rdb.XAck(ctx, "stream:car", "g", ids[c.ghosts:]...)
			} else {
				w.read("g", int64(len(ids)-c.needed), 0)
			}
			tr := w.trimmer(c.policy, func(o *Options) { o.RespectGroups, o.GroupIdleAfter = true, time.Hour })
			planned := int64(0)
			if _, err := tr.Plan(ctx, func(a trim.Cut) { planned = a.Entries }); err != nil {
				t.Fatal(err)
			}
			w.run(tr)
			if n := w.length("car"); n < c.left || n > c.left+100 && c.nodes == "100" || n > c.left && c.nodes == "0" || planned < 3000-n-100 || planned > 3000-n+100 {
				t.Errorf("%d entries stayed, want %d; %d were planned to go", n, c.left, planned)
			}
		})
	}
}

// Clean-up relies on what is noted of any listed stream.
func TestTrimmingKeepsWhatIsNotedOfStreamsThatItDoesNotTrim(t *testing.T) {
	w := realFixture(t)
	rules, err := trim.ParseRules("kept: keep=all", trim.Policy{})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"kept", "short", "long"} {
		w.fill(name, 10, times(time.Now().Add(-time.Hour), 50)...)
		w.rdb.XGroupCreate(t.Context(), "stream:"+name, "g", "0")
		w.rdb.ZAdd(t.Context(), "streamkeeper:groups", redis.Z{Score: 1_700_000_000_000, Member: fmt.Sprintf("%d:%sg", len(name), name)})
	}
	w.fill("long", 10, times(time.Now(), 200)...)
	tr := New(w.store, Options{Policies: trim.Policies{Rules: rules, Default: trim.Policy{MaxLength: 100}}, RespectGroups: true, GroupIdleAfter: time.Hour})
	w.run(tr)
	got := w.rdb.ZRange(t.Context(), "streamkeeper:groups", 0, -1).Val()
	if want := []string{"4:keptg", "4:longg", "5:shortg"}; !slices.Equal(got, want) {
		t.Errorf("noted are %q, want %q", got, want)
	}
}

func TestAGroupThatFindsAConsumerCountsAnew(t *testing.T) {
	w := realFixture(t)
	w.fill("car", 10, times(time.Now().Add(-time.Hour), 1000)...)
	w.group("late", "0")
	tr := w.trimmer(trim.Policy{MaxLength: 100}, func(o *Options) { o.RespectGroups, o.GroupIdleAfter = true, time.Hour })
	now := time.Now()
	w.store.now = now
	w.run(tr)
	w.read("late", 1, 1)
	w.store.now = now.Add(2 * time.Hour)
	w.run(tr)
	if n := w.length("car"); n != 1000 {
		t.Errorf("%d entries stayed, want 1000", n)
	}
}

// What a group needs may begin inside a later macro node: whole ones in front go,
// and the rest of that one waits for the group, as a plan says.
func TestWhatAGroupNeedsMayBeginInsideALaterMacroNode(t *testing.T) {
	redistest.EachVersion(t, func(t *testing.T, start redistest.StartFunc) {
		t.Parallel()
		s := start(t)
		w := newFixture(t, s.Client, s.URL())
		for _, p := range []trim.Policy{{MaxLength: 1000}, {MaxAge: time.Hour}} {
			w.rdb.FlushDB(t.Context())
			ids := times(time.Now().Add(-2*time.Hour), 5050)
			w.fill("car", 10, ids...)
			w.group("storage", ids[2449])
			w.rdb.XGroupCreateConsumer(t.Context(), "stream:car", "storage", "c")
			tr := w.trimmer(p, func(o *Options) { o.RespectGroups = true })
			planned := w.plan(tr)
			w.run(tr)
			if n := w.length("car"); n != 2650 || planned.Entries != 5050-n {
				t.Errorf("%s: %d entries stayed, want 2650; planned %+v", p, n, planned)
			}
		}
	})
}

// A consumer that came and went while the stream lost nothing makes a note of its group
// untrue: nobody saw it. What the group was given says so.
func TestWhatWasNotedOfAGroupBeforeItHadAConsumerHoldsNoLonger(t *testing.T) {
	redistest.EachVersion(t, func(t *testing.T, start redistest.StartFunc) {
		t.Parallel()
		s := start(t)
		w := newFixture(t, s.Client, s.URL())
		for ago, want := range map[time.Duration]int64{10 * time.Minute: 500, 2 * time.Hour: 100} {
			w.rdb.FlushDB(t.Context())
			w.fill("car", 10, times(time.Now().Add(-ago), 1000)...)
			w.group("late", "0")
			w.read("late", 500, 0)
			w.rdb.XGroupDelConsumer(t.Context(), "stream:car", "late", "c")
			w.rdb.ZAdd(t.Context(), "streamkeeper:groups", redis.Z{Score: 1_700_000_000_000, Member: "3:carlate"})
			tr := w.trimmer(trim.Policy{MaxLength: 100, Exact: true}, func(o *Options) { o.RespectGroups, o.GroupIdleAfter = true, time.Hour })
			planned := w.plan(tr)
			w.run(tr)
			if n := w.length("car"); n != want || planned.Entries != 1000-n {
				t.Errorf("entries %s old: %d stayed, want %d; planned %d", ago, n, want, planned.Entries)
			}
		}
	})
}
