package cleanup_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/streamkeeper/streamkeeper/buffer"
	"github.com/streamkeeper/streamkeeper/buffer/registry"
	"github.com/streamkeeper/streamkeeper/cleanup"
	"github.com/streamkeeper/streamkeeper/internal/redisconn"
	"github.com/streamkeeper/streamkeeper/internal/redistest"
)

// The ages that these tests use; limits are a day.
const (
	fresh = time.Minute
	old   = 26 * time.Hour
	older = 72 * time.Hour
)

// noGuard is for tests whose registries are too small to judge.
var noGuard = cleanup.Guard{Share: 1}

// fixture is a Redis with the means to fill it and to clean it up.
type fixture struct {
	*redistest.Server
	t   *testing.T
	now time.Time
	log bytes.Buffer
	// cluster: the server is the only node of a cluster.
	cluster bool
	// layouts are those in which sessions are looked for; none for all.
	layouts []registry.Layout
	// only is the one command that counts as a step; empty for all.
	only string
	// reader is what [fixture.shared] opened.
	reader *buffer.Buffer
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	return &fixture{Server: redistest.Start(t), t: t, now: time.Now()}
}

// newClusterFixture is a cluster of one node, which has all slots.
func newClusterFixture(t *testing.T) *fixture {
	t.Helper()
	c := redistest.StartCluster(t, 1, false)
	return &fixture{Server: c.Masters[0], t: t, now: time.Now(), cluster: true}
}

// through puts a proxy before the server, to which a cluster's clients are sent too,
// until the next [fixture.open].
func (w *fixture) through(before func(n int, command string) error) *proxy {
	w.t.Helper()
	if w.cluster && w.reader != nil { // it may learn of the proxy at any time
		w.noError(w.reader.Close())
		w.reader = nil
	}
	p := startProxy(w.t, w.Addr, w.only, before)
	_, port, err := net.SplitHostPort(p.listener.Addr().String())
	w.noError(err)
	w.announce(port)
	return p
}

// announce has a cluster send its clients to a port; "0" for its own.
func (w *fixture) announce(port string) {
	w.t.Helper()
	if !w.cluster {
		return
	}
	w.noError(w.Client.ConfigSet(w.t.Context(), "cluster-announce-port", port).Err())
	if port == "0" {
		_, port, _ = net.SplitHostPort(w.Addr)
	}
	redistest.Await(w.t, "the cluster announces port "+port, func() bool {
		return strings.Contains(fmt.Sprint(w.Client.Do(w.t.Context(), "CLUSTER", "SLOTS").Val()), " "+port+" ")
	})
}

func (w *fixture) open(url string, change func(*buffer.Options)) *buffer.Buffer {
	w.t.Helper()
	w.announce("0")
	o := buffer.Options{Connection: redisconn.Connection{URL: url, Timeout: 10 * time.Second}, Layouts: w.layouts}
	if change != nil {
		change(&o)
	}
	b, err := buffer.Open(w.t.Context(), o)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = b.Close() })
	return b
}

// shared is one buffer for all that a test reads of what came of the others: where
// the keyspace of a cluster is scanned each new one works out a key of each slot first.
func (w *fixture) shared() *buffer.Buffer {
	w.t.Helper()
	if w.reader == nil {
		w.reader = w.open(w.URL(), nil)
	}
	return w.reader
}

func (w *fixture) options(change func(*cleanup.Options)) cleanup.Options {
	o := cleanup.Options{
		Limits: cleanup.Limits{ExpireAfter: cleanup.DefaultExpireAfter, RetireAfter: cleanup.DefaultRetireAfter},
		Guard:  noGuard,
		Log:    slog.New(slog.NewTextHandler(&w.log, nil)),
	}
	if change != nil {
		change(&o)
	}
	return o
}

// run cleans up once, with a new cleaner.
func (w *fixture) run(change func(*cleanup.Options)) cleanup.Report {
	w.t.Helper()
	report, err := cleanup.New(w.open(w.URL(), nil), w.options(change)).Run(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	return report
}

// plan decides over a connection that only reads.
func (w *fixture) plan(change func(*cleanup.Options)) (cleanup.Report, []cleanup.Action) {
	w.t.Helper()
	b := w.open(w.URL(), func(o *buffer.Options) { o.ReadOnly = true })
	var actions []cleanup.Action
	report, err := cleanup.New(b, w.options(change)).Plan(w.t.Context(), func(a cleanup.Action) { actions = append(actions, a) })
	if err != nil {
		w.t.Fatal(err)
	}
	return report, actions
}

// session writes a session as a producer of the layout does.
func (w *fixture) session(layout registry.Layout, identity, stream string, age time.Duration) {
	ms := w.now.Add(-age).UnixMilli()
	sessionJSON := any("{}")
	if layout == registry.Object {
		sessionJSON = map[string]int{"state": 2}
	}
	w.noError(registry.Produce(w.t.Context(), w.Client, layout, "sessions", identity,
		"streamSessionId", 7, "streamName", stream, "lastUpdated", ms, "json", sessionJSON))
}

// stream makes a stream with one entry of that age, and lists it.
func (w *fixture) stream(name string, age time.Duration) {
	w.Client.SAdd(w.t.Context(), "streams", name)
	w.entry(name, age)
}

// entry adds an entry of that age.
func (w *fixture) entry(name string, age time.Duration) {
	id := fmt.Sprintf("%d-1", w.now.Add(-age).UnixMilli())
	w.Client.XAdd(w.t.Context(), &redis.XAddArgs{Stream: "stream:" + name, ID: id, Values: []any{"id", 7, "data", age.String()}})
}

// sighted writes since when a name is known to have no entry.
func (w *fixture) sighted(name string, age time.Duration) {
	w.Client.ZAdd(w.t.Context(), "streamkeeper:sighted", redis.Z{Score: float64(w.now.Add(-age).UnixMilli()), Member: name})
}

func (w *fixture) listed() []string {
	names := w.Client.SMembers(w.t.Context(), "streams").Val()
	slices.Sort(names)
	return names
}

// keys are the names of the streams that have a key.
func (w *fixture) keys() []string {
	var names []string
	for _, key := range w.Client.Keys(w.t.Context(), "stream:*").Val() {
		names = append(names, key[len("stream:"):])
	}
	slices.Sort(names)
	return names
}

// sessions are the identities in the registry, in all layouts.
func (w *fixture) sessions() []string {
	var ids []string
	if err := w.shared().WalkSessions(w.t.Context(), func(page []registry.Session) error {
		for _, s := range page {
			ids = append(ids, s.Identity)
		}
		return nil
	}); err != nil {
		w.t.Fatal(err)
	}
	slices.Sort(ids)
	return ids
}

func (w *fixture) expect(what string, got []string, want ...string) {
	w.t.Helper()
	if !slices.Equal(got, want) {
		w.t.Errorf("%s: %q, want %q", what, got, want)
	}
}
