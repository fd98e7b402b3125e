package sweep

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
	"go.uber.org/goleak"

	"github.com/streamkeeper/streamkeeper/buffer"
	"github.com/streamkeeper/streamkeeper/internal/redisconn"
	"github.com/streamkeeper/streamkeeper/internal/redistest"
	"github.com/streamkeeper/streamkeeper/trim"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fixture is a server with a producer's client and a watched store.
type fixture struct {
	t     testing.TB
	rdb   *redis.Client
	store *watched
}

func realFixture(t testing.TB, args ...string) *fixture {
	t.Helper()
	s := redistest.Start(t, args...)
	return newFixture(t, s.Client, s.URL())
}

func miniFixture(t testing.TB) *fixture {
	t.Helper()
	m := miniredis.RunT(t)
	rdb := redis.NewClient(&redis.Options{Addr: m.Addr(), Protocol: 2})
	t.Cleanup(func() { _ = rdb.Close() })
	return newFixture(t, rdb, "redis://"+m.Addr())
}

func newFixture(t testing.TB, rdb *redis.Client, url string) *fixture {
	t.Helper()
	return &fixture{t, rdb, &watched{Buffer: openBuffer(t, url)}}
}

func openBuffer(t testing.TB, url string) *buffer.Buffer {
	t.Helper()
	b, err := buffer.Open(t.Context(), buffer.Options{Connection: redisconn.Connection{URL: url, Timeout: time.Minute}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	return b
}

// watched is the real store with a clock that can be set, a connection that
// can be cut, and a memory of what was sent.
type watched struct {
	*buffer.Buffer
	now     time.Time // zero for the server's
	nowErr  error
	cutFrom int // Trims fails from this call on; 0 for never
	cutErr  error

	mu       sync.Mutex
	walks    int // of all streams
	trims    int
	calls    []buffer.TrimRequest
	outcomes []buffer.TrimResult
}

func (w *watched) Now(ctx context.Context) (time.Time, error) {
	now, err := w.Buffer.Now(ctx)
	if !w.now.IsZero() {
		now = w.now
	}
	if w.nowErr != nil {
		err = w.nowErr
	}
	return now, err
}

func (w *watched) WalkStreams(ctx context.Context, visit func(names []string) error) error {
	w.mu.Lock()
	w.walks++
	w.mu.Unlock()
	return w.Buffer.WalkStreams(ctx, visit)
}

func (w *watched) Trims(ctx context.Context, calls []buffer.TrimRequest) ([]buffer.TrimResult, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.trims++
	if w.cutFrom > 0 && w.trims >= w.cutFrom {
		return nil, w.cutErr
	}
	outcomes, err := w.Buffer.Trims(ctx, calls)
	w.calls = append(w.calls, calls...)
	w.outcomes = append(w.outcomes, outcomes...)
	return outcomes, err
}

// list adds names to the set of streams.
func (w *fixture) list(names ...string) {
	w.t.Helper()
	for _, name := range names {
		if err := w.rdb.SAdd(w.t.Context(), "streams", name).Err(); err != nil {
			w.t.Fatal(err)
		}
	}
}

// fill lists a stream and adds an entry of so many bytes for each id.
func (w *fixture) fill(name string, bytes int, ids ...string) {
	w.t.Helper()
	w.list(name)
	redistest.AddEntries(w.t, w.rdb, "stream:"+name, ids, func(int) int { return bytes }, "d")
}

// idsOf are the ids of a stream from one on, without what the entries hold.
var idsOf = redis.NewScript(`
local ids = {}
for i, message in ipairs(redis.call('XRANGE', KEYS[1], ARGV[1], '+')) do
	ids[i] = message[1]
end
return ids`)

// remaining are the ids that a stream still has.
func (w *fixture) remaining(name string) []string { return w.remainingFrom(name, "-") }

// remainingFrom are those from an id on.
func (w *fixture) remainingFrom(name, first string) []string {
	w.t.Helper()
	ids, err := idsOf.Run(w.t.Context(), w.rdb, []string{"stream:" + name}, first).StringSlice()
	if err != nil {
		w.t.Fatal(err)
	}
	return ids
}

func (w *fixture) length(name string) int64 {
	w.t.Helper()
	return w.rdb.XLen(w.t.Context(), "stream:"+name).Val()
}

// trimmer makes a trimmer with one policy for all.
func (w *fixture) trimmer(p trim.Policy, more ...func(*Options)) *Sweeper {
	o := Options{Policies: trim.Policies{Default: p}}
	for _, change := range more {
		change(&o)
	}
	return New(w.store, o)
}

func (w *fixture) run(tr *Sweeper) Report {
	w.t.Helper()
	r, err := tr.Run(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	return r
}

// counters are n ids from first on that are no times.
func counters(first, n int) []string {
	ids := make([]string, n)
	for i := range ids {
		ids[i] = fmt.Sprintf("%d-1", first+i)
	}
	return ids
}

// times are n ids from the given time on, one a millisecond.
func times(first time.Time, n int) []string {
	ids := make([]string, n)
	for i := range ids {
		ids[i] = fmt.Sprintf("%d-0", first.UnixMilli()+int64(i))
	}
	return ids
}
