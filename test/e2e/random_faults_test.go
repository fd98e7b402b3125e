package e2e

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/streamkeeper/streamkeeper/internal/cli"
	"github.com/streamkeeper/streamkeeper/internal/program"
	"github.com/streamkeeper/streamkeeper/internal/redistest"
)

// TestNothingIsLostUnderRandomFaults has producers write all the while, a daemon and
// one-shot runs clean up behind them, and faults of all kinds between these and
// Redis. FAULTS=200 makes it long, and SEED repeats one.
func TestNothingIsLostUnderRandomFaults(t *testing.T) {
	t.Parallel()
	faults := envNumber("FAULTS", 40)
	seed := envNumber("SEED", int(time.Now().UnixNano()%1_000_000))
	s := &randomFaults{
		t: t, Server: redistest.Start(t, "--appendonly", "yes", "--appendfsync", "always"),
		rng: rand.New(rand.NewPCG(uint64(seed), 20260301)),
	}
	s.proxy, s.address = redistest.StartProxy(t, s.Addr), program.FreeAddress(t)
	s.env = newFixture(s.Client, s.proxy.URL()).env
	maps.Copy(s.env, map[string]string{
		"TRIM_MAX_LENGTH": strconv.Itoa(randomLimit), "TRIM_POLICIES": "", "CLEANUP_BRAKE": "1", "REDIS_TIMEOUT": "300ms", "LISTEN": "127.0.0.1:0",
		"TRIM_SCHEDULE": "@every 1s", "CLEANUP_SCHEDULE": "@every 1s", "INSPECT_SCHEDULE": "@every 1s", "METRICS_INTERVAL": "1s", "LEASE_TTL": "1s",
		"SHUTDOWN_GRACE": "2s",
	})
	s.begin()
	kinds := s.inject(faults)
	s.recover()
	t.Logf("seed %d: %d faults %v; %d entries and %d sessions written, %d checks, %d runs of which %d failed",
		seed, faults, kinds, s.added.Load(), s.registered.Load(), s.checks.Load(), s.runs.Load(), s.failures.Load())
}

func envNumber(name string, byDefault int) int {
	if n, err := strconv.Atoi(os.Getenv(name)); err == nil {
		return n
	}
	return byDefault
}

const (
	randomLimit   = 200
	randomStreams = 6
)

type randomFaults struct {
	env program.Env
	*redistest.Server
	t     *testing.T
	rng   *rand.Rand
	proxy *redistest.Proxy

	live []*liveStream
	mu   sync.Mutex
	dead []*deadStream

	work                     sync.WaitGroup
	stopWriting, stopKeeping context.CancelFunc
	// address of the daemon's HTTP.
	address                                   string
	added, registered, checks, runs, failures atomic.Int64
}

// liveStream has a producer that is never still, and a session in one layout.
type liveStream struct {
	name, layout string

	mu    sync.Mutex
	acked []string        // ids that Redis has confirmed, in order
	doubt map[string]bool // ids of which it is not known
}

// deadStream is one that nobody writes to any more, with a session that
// expires; one that returns is written to again.
type deadStream struct {
	name, layout string
	returned     []string
}

func (s *randomFaults) begin() {
	writing, stopWriting := context.WithCancel(context.Background())
	keeping, stopKeeping := context.WithCancel(context.Background())
	s.stopWriting, s.stopKeeping = stopWriting, stopKeeping
	for i := range randomStreams {
		l := &liveStream{name: fmt.Sprintf("live %d", i), layout: allLayouts()[i%3], doubt: make(map[string]bool)}
		s.live = append(s.live, l)
		mustDo(s.t, s.Client.SAdd(writing, "streams", l.name).Err())
		mustDo(s.t, s.register(writing, l.layout, l.name, l.name, time.Now()))
		s.work.Go(func() { s.produce(writing, l) })
		s.work.Go(func() { s.watch(writing, l) })
	}
	seed := rand.NewPCG(s.rng.Uint64(), 1)
	s.work.Go(func() { s.retire(writing, rand.New(seed)) })
	s.work.Go(func() { s.daemon(keeping) })
	redistest.Await(s.t, "the daemon to listen", func() bool {
		connection, err := net.Dial("tcp", s.address)
		if err == nil {
			_ = connection.Close()
		}
		return err == nil
	})
	s.work.Go(func() {
		for keeping.Err() == nil {
			code, _, _ := s.env.Run(s.t, "once")
			s.runs.Add(1)
			if code != cli.ExitOK {
				s.failures.Add(1)
			}
			time.Sleep(20 * time.Millisecond)
		}
	})
}

// register writes a session as a producer does, whole.
func (s *randomFaults) register(ctx context.Context, layout, identity, stream string, updated time.Time) error {
	ms := strconv.FormatInt(updated.UnixMilli(), 10)
	switch layout {
	case "keys":
		return s.Client.HSet(ctx, "sessions:"+identity, "streamName", stream, "lastUpdated", ms, "json", "{}").Err()
	case "fields":
		return s.Client.HSet(ctx, "sessions", identity+":streamName", stream, identity+":lastUpdated", ms, identity+":json", "{}").Err()
	default:
		return s.Client.HSet(ctx, "sessions", identity, fmt.Sprintf(`{"streamName":%q,"lastUpdated":%s,"json":"{}"}`, stream, ms)).Err()
	}
}

// registered reports whether a session is there, and whole.
func (s *randomFaults) whole(ctx context.Context, layout, identity string) (found, whole bool, err error) {
	var values []any
	switch layout {
	case "keys":
		values, err = s.Client.HMGet(ctx, "sessions:"+identity, "streamName", "lastUpdated", "json").Result()
	case "fields":
		values, err = s.Client.HMGet(ctx, "sessions", identity+":streamName", identity+":lastUpdated", identity+":json").Result()
	default:
		values, err = s.Client.HMGet(ctx, "sessions", identity).Result()
	}
	found = slices.ContainsFunc(values, func(v any) bool { return v != nil })
	return found, found && !slices.Contains(values, nil), err
}

func (s *randomFaults) produce(ctx context.Context, l *liveStream) {
	for seq := 0; ctx.Err() == nil; seq++ {
		id := fmt.Sprintf("%d-%d", time.Now().UnixMilli(), seq)
		err := s.Client.XAdd(ctx, &redis.XAddArgs{Stream: "stream:" + l.name, ID: id, Values: []any{"id", "1", "data", "some bytes"}}).Err()
		l.mu.Lock()
		if err == nil {
			l.acked = append(l.acked, id)
			s.added.Add(1)
		} else {
			l.doubt[id] = true
		}
		l.mu.Unlock()
		if seq%20 == 0 && s.register(ctx, l.layout, l.name, l.name, time.Now()) == nil {
			s.registered.Add(1)
		}
		time.Sleep(time.Millisecond)
	}
}

// watch checks all the while that nothing is missing that is to stay.
func (s *randomFaults) watch(ctx context.Context, l *liveStream) {
	for ctx.Err() == nil {
		s.check(ctx, l)
		time.Sleep(60 * time.Millisecond)
	}
}

func (s *randomFaults) check(ctx context.Context, l *liveStream) (length int) {
	l.mu.Lock()
	before := slices.Clone(l.acked)
	l.mu.Unlock()
	entries, err := s.Client.XRange(ctx, "stream:"+l.name, "-", "+").Result()
	if err != nil {
		return 0
	}
	there := make(map[string]bool, len(entries))
	for _, e := range entries {
		there[e.ID] = true
	}
	s.checks.Add(1)
	if len(entries) < min(randomLimit, len(before)) {
		s.t.Errorf("stream %q has %d entries of %d, and %d are to stay", l.name, len(entries), len(before), randomLimit)
	}
	// From the oldest that is left on, no confirmed entry is missing.
	from := 0
	for from < len(before) && !there[before[from]] {
		from++
	}
	for _, id := range before[from:] {
		if !there[id] {
			s.t.Errorf("stream %q: entry %s is missing in the middle", l.name, id)
			break
		}
	}
	if _, whole, err := s.whole(ctx, l.layout, l.name); err == nil && !whole {
		s.t.Errorf("the live session %q of the %s layout is not whole", l.name, l.layout)
	}
	return len(entries)
}

// retire makes dead streams, some of which return.
func (s *randomFaults) retire(ctx context.Context, rng *rand.Rand) {
	for n := 0; ctx.Err() == nil; n++ {
		d := &deadStream{name: fmt.Sprintf("dead %d", n), layout: allLayouts()[n%3]}
		old := time.Now().Add(-30 * time.Hour)
		pipe := s.Client.Pipeline()
		pipe.SAdd(ctx, "streams", d.name)
		for i := range 3 {
			pipe.XAdd(ctx, &redis.XAddArgs{Stream: "stream:" + d.name, ID: fmt.Sprintf("%d-%d", old.UnixMilli(), i), Values: []any{"id", "1"}})
		}
		if _, err := pipe.Exec(ctx); err != nil || s.register(ctx, d.layout, d.name, d.name, old) != nil {
			// Nothing is known of it.
			time.Sleep(50 * time.Millisecond)
			continue
		}
		s.mu.Lock()
		s.dead = append(s.dead, d)
		some := s.dead[rng.IntN(len(s.dead))]
		s.mu.Unlock()
		time.Sleep(time.Duration(rng.IntN(100)) * time.Millisecond)
		if n%4 == 0 {
			s.comeBack(ctx, some)
		}
	}
}

// comeBack has a producer write to a dead stream again, without listing it:
// it did so at its start.
func (s *randomFaults) comeBack(ctx context.Context, d *deadStream) {
	id, err := s.Client.XAdd(ctx, &redis.XAddArgs{Stream: "stream:" + d.name, Values: []any{"id", "1"}}).Result()
	if err != nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	d.returned = append(d.returned, id)
}

// daemon runs all the while.
func (s *randomFaults) daemon(ctx context.Context) {
	log, err := s.env.Serve(ctx, s.t, program.CheckedPath(s.t), s.address)
	if ctx.Err() == nil {
		s.t.Errorf("the daemon ended: %v\n%s", err, log)
	}
}

// proxyFault is one kind of fault.
type proxyFault struct {
	name string
	on   func(s *randomFaults) func([]string) redistest.Fault
}

func answering(text string) func(*randomFaults) func([]string) redistest.Fault {
	return func(*randomFaults) func([]string) redistest.Fault {
		return func([]string) redistest.Fault { return redistest.Fault{Reply: text} }
	}
}

func nowAndThen(f redistest.Fault) func(*randomFaults) func([]string) redistest.Fault {
	return func(s *randomFaults) func([]string) redistest.Fault {
		return every(int64(1+s.rng.IntN(20)), f)
	}
}

var proxyFaults = []proxyFault{
	{"loading", answering("LOADING Redis is loading the dataset in memory")},
	{"readonly", func(*randomFaults) func([]string) redistest.Fault {
		return writesAnswer("READONLY You can't write against a read only replica.")
	}},
	{"masterdown", answering("MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.")},
	{"clusterdown", answering("CLUSTERDOWN The cluster is down")},
	{"tryagain", answering("TRYAGAIN Multiple keys request during rehashing of slot")},
	{"busy", answering("BUSY Redis is busy running a script.")},
	{"noscript", func(*randomFaults) func([]string) redistest.Fault {
		return func(command []string) redistest.Fault {
			if strings.EqualFold(command[0], "evalsha") {
				return says("NOSCRIPT No matching script. Please use EVAL.")
			}
			return redistest.Fault{}
		}
	}},
	{"oom", func(*randomFaults) func([]string) redistest.Fault {
		return func(command []string) redistest.Fault {
			switch strings.ToLower(command[0]) {
			case "sadd", "zadd", "hset", "set":
				return says("OOM command not allowed when used memory > 'maxmemory'.")
			}
			return redistest.Fault{}
		}
	}},
	{"misconf", func(*randomFaults) func([]string) redistest.Fault {
		return writesAnswer("MISCONF Errors writing to the AOF file: No space left on device")
	}},
	{"noauth", answering("NOAUTH Authentication required.")},
	{"reset", nowAndThen(redistest.Fault{Reset: true})},
	{"lost answers", nowAndThen(redistest.Fault{Lose: true})},
	{"cut answers", nowAndThen(redistest.Fault{Cut: true})},
	{"black hole", nowAndThen(redistest.Fault{Hole: true})},
	{"slow", nowAndThen(redistest.Fault{Delay: 400 * time.Millisecond})},
	{"refused", func(s *randomFaults) func([]string) redistest.Fault {
		s.proxy.Down(true)
		return nil
	}},
	{"script flush", func(s *randomFaults) func([]string) redistest.Fault {
		s.Client.ScriptFlush(context.Background())
		return nil
	}},
	{"connections killed", func(s *randomFaults) func([]string) redistest.Fault {
		s.proxy.Reset()
		return nil
	}},
	{"paused", func(s *randomFaults) func([]string) redistest.Fault {
		s.Client.Do(context.Background(), "CLIENT", "PAUSE", 350, "ALL")
		return nil
	}},
	{"restart", func(s *randomFaults) func([]string) redistest.Fault {
		s.Kill()
		if err := s.Run(); err != nil {
			s.t.Error(err)
		}
		return nil
	}},
}

// inject makes one fault after the other, each kind in turn in a random order.
func (s *randomFaults) inject(faults int) map[string]int {
	kinds := make(map[string]int)
	var order []int
	for range faults {
		if len(order) == 0 {
			order = s.rng.Perm(len(proxyFaults))
		}
		f := proxyFaults[order[0]]
		order = order[1:]
		kinds[f.name]++
		var hits atomic.Int64
		fault := f.on(s)
		if fault == nil {
			hits.Add(1)
		} else {
			s.proxy.Set(func(command []string) redistest.Fault {
				made := fault(command)
				if made.Reply != "" || made.Delay > 0 || made.Hole || made.Reset || made.Lose || made.Cut {
					hits.Add(1)
				}
				return made
			})
		}
		for deadline := time.Now().Add(2 * time.Second); hits.Load() == 0 && time.Now().Before(deadline); {
			time.Sleep(time.Millisecond)
		}
		time.Sleep(time.Duration(20+s.rng.IntN(130)) * time.Millisecond)
		s.proxy.Set(nil)
		s.proxy.Down(false)
		if hits.Load() == 0 {
			s.t.Logf("the fault %q met nobody", f.name)
		}
		time.Sleep(time.Duration(50+s.rng.IntN(200)) * time.Millisecond)
	}
	return kinds
}

// recover ends the producers, lets the daemon come to itself without help, and
// looks at what is left.
func (s *randomFaults) recover() {
	s.stopWriting()
	redistest.Await(s.t, "the daemon to be well", func() bool {
		answer, err := http.Get("http://" + s.address + "/health")
		if err != nil {
			return false
		}
		defer func() { _ = answer.Body.Close() }()
		return answer.StatusCode == http.StatusOK
	})
	s.stopKeeping()
	s.work.Wait()
	s.env["REDIS_TIMEOUT"] = "10s" // a busy machine is no fault
	s.env.MustRun(s.t, "once")
	s.env.MustRun(s.t, "once")
	ctx := context.Background()
	for _, l := range s.live {
		if n := s.check(ctx, l); n >= randomLimit+100 {
			s.t.Errorf("stream %q has %d entries, and the policy keeps %d", l.name, n, randomLimit)
		}
		if !s.Client.SIsMember(ctx, "streams", l.name).Val() {
			s.t.Errorf("the name of stream %q is gone", l.name)
		}
	}
	for _, d := range s.dead {
		s.checkDead(ctx, d)
	}
}

func (s *randomFaults) checkDead(ctx context.Context, d *deadStream) {
	if found, _, err := s.whole(ctx, d.layout, d.name); err != nil || found {
		s.t.Errorf("the dead session %q of the %s layout is still there (%v)", d.name, d.layout, err)
	}
	entries, err := s.Client.XRange(ctx, "stream:"+d.name, "-", "+").Result()
	mustDo(s.t, err)
	listed := s.Client.SIsMember(ctx, "streams", d.name).Val()
	if len(d.returned) == 0 {
		noted := s.Client.ZScore(ctx, "streamkeeper:sighted", d.name).Err() == nil
		if len(entries) > 0 || listed && !noted {
			s.t.Errorf("dead stream %q has %d entries, listed %t, noted %t", d.name, len(entries), listed, noted)
		}
		return
	}
	for _, id := range d.returned {
		if !slices.ContainsFunc(entries, func(e redis.XMessage) bool { return e.ID == id }) {
			s.t.Errorf("stream %q came back, and its entry %s is gone", d.name, id)
		}
	}
	if !listed {
		s.t.Errorf("stream %q came back and is not listed", d.name)
	}
}
