package trim

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/streamkeeper/streamkeeper/buffer"
)

// period is the time between two runs of the tests here.
const period = 30 * time.Second

// twins are two servers to which the same happens. On one of them a trimmer
// visits streams when something can be due, on the other every stream in each
// run.
type twins struct {
	t        *testing.T
	rng      *rand.Rand
	now      time.Time
	due, all *world
	// walked is when the last run visited all.
	walked time.Time

	residents []*resident
	born      int
	policies  Policies
}

// resident is a stream that is appended to now and then.
type resident struct {
	name  string
	every int // runs between two bursts, 0 for none
	burst int
	last  buffer.ID
	bytes int // of an entry
	// lag is how far behind the clock its ids are.
	lag time.Duration
}

func newTwins(t *testing.T, seed uint64) *twins {
	t.Helper()
	tw := &twins{t: t, rng: rand.New(rand.NewPCG(seed, 3)), now: time.Now().Truncate(time.Second), due: realWorld(t), all: realWorld(t)}
	for _, p := range []string{
		"length", "age", "both", "young", "exact", "all",
	} {
		pattern, err := buffer.ParsePattern(p + "-*")
		if err != nil {
			t.Fatal(err)
		}
		tw.policies.Rules = append(tw.policies.Rules, Rule{pattern, map[string]Policy{
			"length": {MaxLength: 150},
			"age":    {MaxAge: 4 * time.Minute},
			"both":   {MaxLength: 200, MaxAge: 45 * time.Minute},
			"young":  {MaxLength: 50, MinAge: 3 * time.Minute},
			"exact":  {MaxLength: 40, MaxAge: 90 * time.Minute, Exact: true},
			"all":    {KeepAll: true},
		}[p]})
	}
	return tw
}

// each does the same to both servers.
func (tw *twins) each(do func(context.Context, redis.Pipeliner)) {
	tw.t.Helper()
	for _, w := range []*world{tw.due, tw.all} {
		_, err := w.rdb.Pipelined(tw.t.Context(), func(p redis.Pipeliner) error { do(tw.t.Context(), p); return nil })
		if err != nil {
			tw.t.Fatal(err)
		}
	}
}

// settle lists a new stream and fills it.
func (tw *twins) settle() {
	kind := []string{"length", "age", "both", "young", "exact", "all"}[tw.rng.IntN(6)]
	s := &resident{name: fmt.Sprintf("%s-%d", kind, tw.born), bytes: []int{30, 30, 30, 700, 700, 9000}[tw.rng.IntN(6)]}
	tw.born++
	switch tw.rng.IntN(10) {
	case 0:
		s.every, s.burst = 1, 1+tw.rng.IntN(120)
	case 1:
		s.every, s.burst = 1+tw.rng.IntN(50), 1+tw.rng.IntN(3)
	case 2:
		s.lag = time.Duration(tw.rng.IntN(600)) * time.Second
	}
	tw.residents = append(tw.residents, s)
	tw.each(func(ctx context.Context, p redis.Pipeliner) { p.SAdd(ctx, "streams", s.name) })
	tw.add(s, tw.rng.IntN(260))
}

// add appends entries whose ids lie within the last period.
func (tw *twins) add(s *resident, n int) {
	if n == 0 {
		return
	}
	first := tw.now.Add(-s.lag - period)
	ids := make([]string, n)
	for i := range ids {
		id := buffer.TimeID(first.Add(period * time.Duration(i) / time.Duration(n)))
		if !s.last.Less(id) {
			id = s.last
			id.Seq++
		}
		s.last, ids[i] = id, id.String()
	}
	tw.each(func(ctx context.Context, p redis.Pipeliner) {
		for _, id := range ids {
			p.XAdd(ctx, &redis.XAddArgs{Stream: "stream:" + s.name, ID: id, Values: []string{"d", strings.Repeat("x", s.bytes)}})
		}
	})
}

// live lets one period pass: streams grow as they use to, and now and then one
// does what it did not do before.
func (tw *twins) live(run int, calm bool) {
	tw.now = tw.now.Add(period)
	for i, s := range tw.residents {
		if s.every > 0 && (run+i)%s.every == 0 {
			tw.add(s, s.burst)
		}
	}
	if calm {
		return
	}
	some := tw.residents[tw.rng.IntN(len(tw.residents))]
	key := "stream:" + some.name
	switch tw.rng.IntN(14) {
	case 0: // one wakes for once
		tw.add(some, 1+tw.rng.IntN(200))
	case 1: // by a single entry
		tw.add(some, 1)
	case 2: // one changes its ways
		some.every, some.burst = tw.rng.IntN(3), 1+tw.rng.IntN(20)
	case 3:
		tw.settle()
	case 4: // one begins anew
		tw.each(func(ctx context.Context, p redis.Pipeliner) { p.Unlink(ctx, key) })
		tw.add(some, tw.rng.IntN(200))
	case 5: // one goes as another comes, at once
		tw.each(func(ctx context.Context, p redis.Pipeliner) { p.SRem(ctx, "streams", some.name) })
		tw.residents = slices.DeleteFunc(tw.residents, func(s *resident) bool { return s == some })
		tw.settle()
	case 6: // somebody else removes
		tw.each(func(ctx context.Context, p redis.Pipeliner) { p.XTrimMaxLen(ctx, key, 20) })
	case 7:
		tw.each(func(ctx context.Context, p redis.Pipeliner) { p.XDel(ctx, key, some.last.String()) })
	case 8: // a copy is no XADD
		tw.each(func(ctx context.Context, p redis.Pipeliner) {
			if other := tw.residents[run%len(tw.residents)]; other != some {
				p.Copy(ctx, key, "stream:"+other.name, 0, true)
				other.last = some.last
			}
		})
	case 9: // what does not concern us
		tw.each(func(ctx context.Context, p redis.Pipeliner) {
			for i := range 50 {
				p.XAdd(ctx, &redis.XAddArgs{Stream: "elsewhere", Values: []string{"n", strconv.Itoa(i)}})
			}
		})
	case 10:
		tw.each(func(ctx context.Context, p redis.Pipeliner) { p.ConfigResetStat(ctx) })
		tw.add(some, 1+tw.rng.IntN(60))
	case 11: // within a script
		tw.each(func(ctx context.Context, p redis.Pipeliner) {
			p.Eval(ctx, "return redis.call('XADD', KEYS[1], ARGV[1], 'd', 'x')", []string{key}, fmt.Sprintf("%d-0", some.last.Ms+1))
		})
		some.last = buffer.ID{Ms: some.last.Ms + 1}
	}
}

// both trims both servers, and compares what is left.
func (tw *twins) both(run int, due, all *Trimmer) (visited int64) {
	tw.t.Helper()
	tw.due.store.now, tw.all.store.now = tw.now, tw.now
	walks := tw.due.store.walks
	mine, others := tw.due.run(due), tw.all.run(all)
	if tw.due.store.walks > walks {
		tw.walked = tw.now
	}
	if since := tw.now.Sub(tw.walked); since > DefaultVisitAll {
		tw.t.Fatalf("run %d: all streams were visited %s ago", run, since)
	}
	if mine.EntriesRemoved != others.EntriesRemoved || mine.StreamsTrimmed != others.StreamsTrimmed {
		tw.t.Errorf("run %d: %+v, where every stream was visited %+v", run, mine, others)
	}
	got, want := tw.remain(tw.due), tw.remain(tw.all)
	for i, s := range tw.residents {
		if got[i] != want[i] {
			tw.t.Fatalf("run %d, stream %s (%+v): %s are left, where every stream was visited %s", run, s.name, *s, got[i], want[i])
		}
	}
	return mine.Visited
}

// remain is how many entries each stream has, and which is the oldest.
func (tw *twins) remain(w *world) []string {
	tw.t.Helper()
	pipe := w.rdb.Pipeline()
	lengths, oldest := make([]*redis.IntCmd, len(tw.residents)), make([]*redis.XMessageSliceCmd, len(tw.residents))
	for i, s := range tw.residents {
		lengths[i], oldest[i] = pipe.XLen(tw.t.Context(), "stream:"+s.name), pipe.XRangeN(tw.t.Context(), "stream:"+s.name, "-", "+", 1)
	}
	if _, err := pipe.Exec(tw.t.Context()); err != nil {
		tw.t.Fatal(err)
	}
	all := make([]string, len(tw.residents))
	for i := range all {
		all[i] = fmt.Sprintf("%d entries", lengths[i].Val())
		for _, entry := range oldest[i].Val() {
			all[i] += " from " + entry.ID + " on"
		}
	}
	return all
}

// TestVisitsWhenDueLeaveWhatVisitsOfAllLeave lets streams grow, wake, come, go
// and be changed by others. After each run every stream has exactly the
// entries that it has where each run visits all: so none ever exceeds its limit
// by more than it grew since.
func TestVisitsWhenDueLeaveWhatVisitsOfAllLeave(t *testing.T) {
	for seed := range uint64(3) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			tw := newTwins(t, seed)
			for range 60 {
				tw.settle()
			}
			follow := func(o *Options) { o.Policies, o.VisitAll = tw.policies, DefaultVisitAll }
			due, all := tw.due.trimmer(Policy{}, follow), tw.all.trimmer(Policy{}, follow, func(o *Options) { o.VisitAll = 0 })
			for run := range 150 {
				tw.live(run, false)
				tw.both(run, due, all)
			}
			// What is left of the excitement: streams that grew lately, and
			// those that begin to go by age.
			for run := range 150 {
				tw.live(run, true)
				tw.both(run, due, all)
			}
			visited, runs := int64(0), 40
			for run := range runs {
				tw.live(run, true)
				visited += tw.both(run, due, all)
			}
			if most := int64(runs * len(tw.residents) * 3 / 4); visited > most {
				t.Errorf("in %d calm runs over %d streams %d were visited, want at most %d", runs, len(tw.residents), visited, most)
			}
		})
	}
}

// TestNoStreamIsOverlookedWhileProducersAppend has streams wake while runs follow
// one another. After each one no stream may have more than its limit and what
// was appended since that run began.
func TestNoStreamIsOverlookedWhileProducersAppend(t *testing.T) {
	const streams, limit, node, runs = 40, 100, 10, 120
	w := realWorld(t, "--stream-node-max-entries", fmt.Sprint(node))
	for i := range streams {
		w.fill(fmt.Sprint("car-", i), 10, times(time.Now().Add(-time.Hour), limit)...)
	}
	tr := w.trimmer(Policy{MaxLength: limit}, func(o *Options) { o.VisitAll = DefaultVisitAll })
	var mu sync.Mutex
	appended := make([]int, streams)
	ctx, stop := context.WithCancel(t.Context())
	var work sync.WaitGroup
	defer work.Wait()
	defer stop()
	work.Go(func() {
		rng := rand.New(rand.NewPCG(1, 2))
		for n := 0; ctx.Err() == nil; n++ {
			i := n % 4 // four grow all the time, the others once in a while
			if rng.IntN(50) == 0 {
				i = rng.IntN(streams)
			}
			mu.Lock()
			appended[i]++
			mu.Unlock()
			if err := w.rdb.XAdd(t.Context(), &redis.XAddArgs{Stream: streamOf(i), Values: []string{"d", "x"}}).Err(); err != nil {
				t.Error(err)
			}
		}
	})
	visited := int64(0)
	for run := range runs {
		mu.Lock()
		before := slices.Clone(appended)
		mu.Unlock()
		visited += w.run(tr).Visited
		for i := range streams {
			n := w.length(fmt.Sprint("car-", i))
			mu.Lock()
			since := appended[i] - before[i]
			mu.Unlock()
			// One append may be under way as it is counted.
			if over := n - limit - int64(since); over >= node+1 {
				t.Fatalf("run %d: stream %d has %d entries, of which %d came since", run, i, n, since)
			}
		}
	}
	stop()
	work.Wait()
	if visited >= runs*streams {
		t.Errorf("%d visits in %d runs over %d streams: all were visited each time", visited, runs, streams)
	}
	for range 2 {
		w.run(tr)
	}
	for i := range streams {
		if n := w.length(fmt.Sprint("car-", i)); n >= limit+node {
			t.Errorf("stream %d has %d entries in the end", i, n)
		}
	}
}
