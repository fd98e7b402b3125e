package sweep

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"golang.org/x/sync/errgroup"

	"github.com/streamkeeper/streamkeeper/buffer"
	"github.com/streamkeeper/streamkeeper/internal/human"
	"github.com/streamkeeper/streamkeeper/internal/redistest"
	"github.com/streamkeeper/streamkeeper/trim"
)

const (
	testShare  = 0.8
	testMinAge = 5 * time.Second
)

// pressed makes a sweeper that relieves memory, and what it says.
func (w *fixture) pressed(p trim.Policy, more ...func(*Options)) (*Sweeper, *bytes.Buffer) {
	log := &bytes.Buffer{}
	p.MinAge = testMinAge
	options := append([]func(*Options){func(o *Options) {
		o.Pressure, o.Log = testShare, slog.New(slog.NewTextHandler(log, nil))
	}}, more...)
	return w.trimmer(p, options...), log
}

// limitMemory sets maxmemory so that the given share of it is in use.
func (w *fixture) limitMemory(share float64) {
	w.t.Helper()
	used := w.memory().Used
	if err := w.rdb.ConfigSet(w.t.Context(), "maxmemory", fmt.Sprint(int64(float64(used)/share))).Err(); err != nil {
		w.t.Fatal(err)
	}
}

func (w *fixture) memory() buffer.NodeMemory {
	w.t.Helper()
	all, err := w.store.Memories(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	return all[0]
}

// producer adds entries with the times of a clock that the test sets.
type producer struct {
	stream  string
	payload string
	times   []int64
}

func (p *producer) produce(ctx context.Context, rdb *redis.Client, now time.Time, n int) error {
	for i := range n {
		ms := now.UnixMilli() + int64(i)
		id := fmt.Sprintf("%d-0", ms)
		if err := rdb.XAdd(ctx, &redis.XAddArgs{Stream: "stream:" + p.stream, ID: id, Values: []string{"d", p.payload}}).Err(); err != nil {
			return fmt.Errorf("%s after %d entries: %w", p.stream, len(p.times), err)
		}
		p.times = append(p.times, ms)
	}
	return nil
}

// younger counts the entries that were added since.
func (p *producer) younger(since int64) (n int64) {
	for _, ms := range p.times {
		if ms >= since {
			n++
		}
	}
	return n
}

// Ten streams take four megabytes a second, of which Redis may hold sixty-four:
// the plain policy would let them have ten times as much.
func TestLiveProducersNeverSeeThatMemoryIsShort(t *testing.T) {
	w := realFixture(t, "--maxmemory", "64mb", "--maxmemory-policy", "noeviction")
	var producers []*producer
	for i := range 10 {
		p := &producer{stream: fmt.Sprint("car ", i), payload: strings.Repeat("x", 2000*(i+1))}
		producers = append(producers, p)
		w.list(p.stream)
	}
	tr, log := w.pressed(trim.Policy{MaxLength: 10_000, MaxAge: time.Minute})
	removed := make(map[trim.Reason]int64)
	tr.o.OnRemoved = func(r Removed) { removed[r.Reason] += r.Entries }
	clock := time.Now()
	added := 0
	for tick := range 24 {
		clock = clock.Add(time.Second)
		w.store.now = clock
		group, ctx := errgroup.WithContext(t.Context())
		for _, p := range producers {
			group.Go(func() error { return p.produce(ctx, w.rdb, clock, 40) })
		}
		report := w.run(tr)
		if err := group.Wait(); err != nil {
			t.Fatalf("tick %d: %v", tick, err)
		}
		added += 400
		floor := clock.Add(-testMinAge).UnixMilli()
		for _, p := range producers {
			have := w.remainingFrom(p.stream, fmt.Sprint(floor))
			if want := p.younger(floor); int64(len(have)) != want {
				t.Fatalf("tick %d: %s has %d young entries, want all %d", tick, p.stream, len(have), want)
			}
		}
		if report.StreamsTrimmed > report.Streams {
			t.Fatalf("%d of %d streams trimmed", report.StreamsTrimmed, report.Streams)
		}
	}
	if removed[trim.ByPressure] == 0 || removed[trim.ByLength] > 0 || removed[trim.ByAge] > 0 {
		t.Errorf("removed %v of %d entries, want some by pressure alone", removed, added)
	}
	if small, large := w.length("car 0"), w.length("car 9"); small <= large {
		t.Errorf("the smallest stream keeps %d entries, the largest %d: want the largest to lose first", small, large)
	}
	// The session is over: age makes room, and the policy holds again.
	for range 120 {
		clock = clock.Add(time.Second)
		w.store.now = clock
		w.run(tr)
	}
	if streams, nodes := tr.reducer.Reduced(); streams > 0 || nodes > 0 {
		t.Errorf("still reduced: %d streams on %d nodes", streams, nodes)
	}
	said := log.String()
	for _, line := range []string{"memory pressure, reducing retention", "memory pressure ended"} {
		if n := strings.Count(said, line); n != 1 {
			t.Errorf("said %q %d times, want once, in\n%s", line, n, said)
		}
	}
	if !strings.Contains(said, "reduced retention") {
		t.Errorf("the log does not say what it tightens:\n%s", said)
	}
}

func TestRetentionRelaxesAStepARun(t *testing.T) {
	w := realFixture(t)
	hour := time.Now().Add(-time.Hour)
	w.fill("stays", 4000, times(hour, 4000)...)
	w.fill("goes", 4000, times(hour, 2000)...)
	w.limitMemory(0.9)
	tr, _ := w.pressed(trim.Policy{MaxLength: 4000})
	report := w.run(tr)
	if got := w.memory().Share(); got > testShare {
		t.Fatalf("memory at %.2f, want at most %.2f", got, testShare)
	}
	if !strings.Contains(report.Pressure, "% of maxmemory (limit 80 %): 1 stream keeps less") {
		t.Errorf("the report says %q", report.Pressure)
	}
	reduced := func() int { streams, _ := tr.reducer.Reduced(); return streams }
	first, _ := tr.reducer.Reduction("stays")
	before := first.Keep
	if before == 0 || w.length("goes") != 2000 {
		t.Fatalf("%d streams keep less, want the largest stream alone", reduced())
	}
	if err := w.rdb.Del(t.Context(), "stream:goes").Err(); err != nil {
		t.Fatal(err)
	}
	for runs := 0; reduced() > 0; runs++ {
		w.run(tr)
		if s, still := tr.reducer.Reduction("stays"); still && (s.Keep <= before || s.Keep > before*8/7+1) {
			t.Fatalf("keeps %d after %d: want one step back", s.Keep, before)
		} else if before = s.Keep; runs > 20 {
			t.Fatal("does not relax")
		}
	}
	if report := w.run(tr); report.Pressure != "" {
		t.Errorf("relaxed, and says %q", report.Pressure)
	}
}

func TestPressureLeavesAloneWhatNothingProtects(t *testing.T) {
	w := realFixture(t)
	hour := time.Now().Add(-time.Hour)
	w.fill("counters", 4000, counters(1, 1000)...)
	w.fill("pit wall", 4000, times(hour, 1000)...)
	w.fill("young", 4000, times(time.Now().Add(-2*time.Second), 1000)...)
	w.fill("old", 4000, times(hour, 1000)...)
	w.limitMemory(1.2)
	rules, err := trim.ParseRules(`"pit wall": keep=all; young: max_length=5000, min_age=0s`, trim.Policy{MaxLength: 2000, MinAge: testMinAge})
	if err != nil {
		t.Fatal(err)
	}
	tr, log := w.pressed(trim.Policy{MaxLength: 2000}, func(o *Options) { o.Policies.Rules = rules })
	for range 3 {
		w.run(tr)
	}
	for _, name := range []string{"counters", "pit wall", "young"} {
		if n := w.length(name); n != 1000 {
			t.Errorf("%s has %d entries, want 1000", name, n)
		}
	}
	if n := w.length("old"); n != 1 {
		t.Errorf("the only stream that may lose entries keeps %d of 1000, want 1 as memory is as short as that", n)
	}
	if n := strings.Count(log.String(), "memory pressure remains"); n != 1 {
		t.Errorf("said %d times that memory stays short, want once", n)
	}
}

func TestWhatIsPlannedForWantOfMemoryIsDone(t *testing.T) {
	w := realFixture(t)
	hour := time.Now().Add(-time.Hour)
	w.fill("large", 4000, times(hour, 5000)...)
	w.fill("over", 1000, times(hour, 6000)...)
	w.fill("small", 100, times(hour, 100)...)
	w.limitMemory(0.96)
	planner, _ := w.pressed(trim.Policy{MaxLength: 5000})
	planned := make(map[string]trim.Cut)
	report, err := planner.Plan(t.Context(), func(a trim.Cut) {
		if _, twice := planned[a.Stream]; twice {
			t.Errorf("%s is planned twice", a.Stream)
		}
		planned[a.Stream] = a
	})
	if err != nil {
		t.Fatal(err)
	}
	if w.length("large") != 5000 {
		t.Fatal("a plan removed entries")
	}
	large := planned["large"]
	if want := "memory at 96 % of maxmemory (limit 80 %): keeps "; !strings.HasPrefix(large.Reason(), want) || !strings.HasSuffix(large.Reason(), " of 5 000") {
		t.Errorf("the plan says %q, want %q …", large.Reason(), want)
	}
	if report.StreamsTrimmed != 2 || report.EntriesRemoved != large.Entries+planned["over"].Entries || planned["over"].Entries == 0 {
		t.Errorf("planned %+v with the summary %+v", planned, report)
	}
	if want := "memory at 96 % of maxmemory (limit 80 %): 1 stream would keep less, which frees about "; !strings.HasPrefix(report.Pressure, want) {
		t.Errorf("the report of the plan says %q, want %q", report.Pressure, want)
	}
	tr, _ := w.pressed(trim.Policy{MaxLength: 5000})
	w.run(tr)
	gone := 5000 - w.length("large")
	if diff := gone - large.Entries; diff < -large.Entries/3 || diff > large.Entries/3 {
		t.Errorf("removed %d entries, planned %d", gone, large.Entries)
	}
}

// The oldest macro nodes do not say what a stream takes, and what its groups take no
// trimming frees: the largest is the one whose entries take most.
func TestTheLargestByWhatItsEntriesTakeLosesFirst(t *testing.T) {
	redistest.EachVersion(t, func(t *testing.T, start redistest.StartFunc) {
		t.Parallel()
		s := start(t)
		w := newFixture(t, s.Client, s.URL())
		of := func(n, size int) (sizes []int) {
			for range n {
				sizes = append(sizes, size)
			}
			return sizes
		}
		hour := time.Now().Add(-time.Hour)
		w.add("largest", hour, of(16_000, 1000))
		w.add("large at its old end", hour, append(of(5, 200_000), of(10_000, 20)...))
		w.add("car", hour, of(2000, 500)) // with a group that read all
		w.group("g", "0")
		if err := w.rdb.XReadGroup(t.Context(), &redis.XReadGroupArgs{Group: "g", Consumer: "c", Streams: []string{"stream:car", ">"}, Count: 2000}).Err(); err != nil {
			t.Fatal(err)
		}
		w.limitMemory(0.82)
		before := map[string]int64{"largest": w.length("largest"), "large at its old end": w.length("large at its old end"), "car": w.length("car")}
		took := w.bytes("largest")
		planner, _ := w.pressed(trim.Policy{MaxLength: 100_000})
		planned := make(map[string]trim.Cut)
		plan, err := planner.Plan(t.Context(), func(c trim.Cut) { planned[c.Stream] = c })
		if err != nil {
			t.Fatal(err)
		}
		tr, _ := w.pressed(trim.Policy{MaxLength: 100_000})
		report := w.run(tr)
		freed := took - w.bytes("largest")
		if freed < took/20 {
			t.Errorf("the largest lost %d of %d bytes", freed, took)
		}
		for name, n := range before {
			if name != "largest" && (w.length(name) != n || planned[name].Entries > 0) {
				t.Errorf("%s lost %d of %d entries, %d were planned", name, n-w.length(name), n, planned[name].Entries)
			}
		}
		for what, said := range map[string]int64{"the plan": plan.BytesRemoved, "the plan of the stream": planned["largest"].Bytes, "the run": report.BytesRemoved} {
			if share := float64(said) / float64(freed); share < 0.7 || share > 1.4 {
				t.Errorf("%s says %d bytes, and %d were freed", what, said, freed)
			}
		}
		if !strings.Contains(plan.Pressure, ", which frees about ") || !strings.HasSuffix(report.Pressure, " freed") {
			t.Errorf("the plan says %q, the run %q", plan.Pressure, report.Pressure)
		}
	})
}

func TestPlansUnderPressureSeeConsumerGroups(t *testing.T) {
	for _, c := range []struct {
		name string
		read int64
		stay int64 // at least
	}{
		{"a group that never read", 0, 2000},
		{"a group that read half", 1000, 1000},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := realFixture(t)
			w.fill("car", 4000, times(time.Now().Add(-time.Hour), 2000)...)
			w.group("g", "0")
			if c.read > 0 {
				w.read("g", c.read, 0)
			}
			w.limitMemory(4)
			respect := func(o *Options) { o.RespectGroups = true }
			var planned trim.Cut
			planner, _ := w.pressed(trim.Policy{MaxLength: 5000}, respect)
			if _, err := planner.Plan(t.Context(), func(a trim.Cut) { planned = a }); err != nil {
				t.Fatal(err)
			}
			if len(planned.Protected) != 1 {
				t.Fatalf("planned %+v, want one protection", planned)
			}
			p, needed := planned.Protected[0], fmt.Sprintf(`consumer group "g" still needs %s`, human.Count(c.stay))
			if p.By != trim.ProtectedByGroup || p.Group != "g" || p.Reason() != needed || p.Entries != c.stay {
				t.Errorf("protected by %+v, want %d entries: %s", p, c.stay, needed)
			}
			if c.read > 0 && !strings.HasSuffix(planned.Reason(), needed) {
				t.Errorf("the plan's reason is %q", planned.Reason())
			}
			tr, _ := w.pressed(trim.Policy{MaxLength: 5000}, respect)
			w.run(tr)
			gone := 2000 - w.length("car")
			if diff := planned.Entries - gone; planned.Entries > c.read || diff < -2 || diff > 2 {
				t.Errorf("removed %d entries, planned %d", gone, planned.Entries)
			}
		})
	}
}

func TestWithoutMaxmemoryItIsSaidOnce(t *testing.T) {
	w := realFixture(t)
	w.fill("a", 100, times(time.Now().Add(-time.Hour), 1000)...)
	tr, log := w.pressed(trim.Policy{MaxLength: 500})
	for range 3 {
		w.run(tr)
	}
	if n := strings.Count(log.String(), `"memory-pressure trimming unavailable" why="Redis has no maxmemory"`); n != 1 {
		t.Errorf("said %d times, want once, in\n%s", n, log)
	}
	if n := w.length("a"); n > 600 {
		t.Errorf("%d entries: the plain policy is to hold", n)
	}
}

func TestWhereInfoIsDeniedTheRestGoesOn(t *testing.T) {
	s := redistest.Start(t)
	if err := s.Client.Do(t.Context(), "ACL", "SETUSER", "narrow", "on", ">secret", "~*", "+@all", "-info").Err(); err != nil {
		t.Fatal(err)
	}
	w := newFixture(t, s.Client, strings.Replace(s.URL(), "redis://", "redis://narrow:secret@", 1))
	w.fill("a", 100, times(time.Now().Add(-time.Hour), 1000)...)
	tr, log := w.pressed(trim.Policy{MaxLength: 500})
	for range 3 {
		w.run(tr)
	}
	if n := strings.Count(log.String(), `"memory-pressure trimming unavailable" why="the Redis user may not ask for the server's memory (+info)"`); n != 1 {
		t.Errorf("said %d times, want once, in\n%s", n, log)
	}
	if n := w.length("a"); n > 600 {
		t.Errorf("%d entries: the plain policy is to hold", n)
	}
}

func TestOnlyTheFullNodeOfAClusterKeepsLess(t *testing.T) {
	t.Parallel()
	c := redistest.StartCluster(t, 3, false)
	store := openBuffer(t, c.NamedURL())
	rdb := redis.NewClusterClient(&redis.ClusterOptions{Addrs: []string{c.Masters[0].Addr}})
	t.Cleanup(func() { _ = rdb.Close() })
	ctx := t.Context()
	for i := range 12 {
		name := fmt.Sprint("car ", i)
		if err := rdb.SAdd(ctx, "streams", name).Err(); err != nil {
			t.Fatal(err)
		}
		redistest.AddEntries(t, rdb, "stream:"+name, times(time.Now().Add(-time.Hour), 500), func(int) int { return 4000 }, "d")
	}
	full, err := c.MasterOf(ctx, "stream:car 0")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range c.Masters {
		limit := "1gb"
		if m == full {
			limit = "8mb"
		}
		if err := m.Client.ConfigSet(ctx, "maxmemory", limit).Err(); err != nil {
			t.Fatal(err)
		}
	}
	tr := New(store, Options{Policies: trim.Policies{Default: trim.Policy{MaxLength: 500, MinAge: testMinAge}}, Pressure: testShare})
	if _, err := tr.Run(ctx); err != nil {
		t.Fatal(err)
	}
	cut := 0
	for i := range 12 {
		name := fmt.Sprint("car ", i)
		owner, err := c.MasterOf(ctx, "stream:"+name)
		if err != nil {
			t.Fatal(err)
		}
		n := rdb.XLen(ctx, "stream:"+name).Val()
		if owner != full && n != 500 {
			t.Errorf("%s lies on a node with room and keeps %d of 500", name, n)
		}
		if owner == full && n < 500 {
			cut++
		}
	}
	if cut == 0 {
		t.Error("no stream of the full node keeps less")
	}
}
