package e2e

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/streamkeeper/streamkeeper/internal/program"
)

// rig is a stream buffer in whatever shape, with something of everything in
// it, and knows what is right after a trim and a clean-up.
type rig struct {
	env    program.Env
	client redis.UniversalClient
	now    time.Time
	ids    map[string][]string
}

// rigStreams are streams and what a trim leaves of them; none is the number of
// the entries that a clean-up leaves none of.
var rigStreams = []struct {
	name       string
	entries    int
	ago, step  time.Duration
	left, most int
}{
	{"busy", 2500, 0, 10 * time.Millisecond, 1000, 1099},
	{"exact: one", 1777, 0, 10 * time.Millisecond, 1000, 1000},
	{"short*", 990, 0, 10 * time.Millisecond, 990, 990},
	{"aged", 600, 0, time.Minute, 60, 159},
	{"idle", 10, 50 * time.Hour, time.Second, 10, 10},
	{"dead", 10, 50 * time.Hour, time.Second, 0, 0},
	{"orphan\xff", 10, 30 * time.Hour, time.Second, 0, 0},
}

// newRig sets the policies that go with the streams.
func newRig(t *testing.T, client redis.UniversalClient, url string) *rig {
	t.Helper()
	env := program.Env{
		"REDIS_URL": url, "TRIM_MAX_LENGTH": "1000", "TRIM_POLICIES": `aged: max_age=1h; "exact: one": exact=true`,
	}
	return &rig{env: env, client: client, now: time.Now(), ids: make(map[string][]string)}
}

// fill empties Redis and puts everything in, sessions in the layouts named.
func (r *rig) fill(t *testing.T, layouts ...string) {
	t.Helper()
	ctx := t.Context()
	if cluster, ok := r.client.(*redis.ClusterClient); ok {
		mustDo(t, cluster.ForEachMaster(ctx, func(ctx context.Context, node *redis.Client) error { return node.FlushAll(ctx).Err() }))
	} else {
		mustDo(t, r.client.FlushAll(ctx).Err())
	}
	r.now = time.Now()
	pipe := r.client.Pipeline()
	pipe.Set(ctx, "lastStreamSessionId", 42, 0)
	pipe.Set(ctx, "stream:text", "no stream", 0)
	pipe.SAdd(ctx, "streams", "missing", "text")
	for _, s := range rigStreams {
		pipe.SAdd(ctx, "streams", s.name)
		r.ids[s.name] = nil
		for i := range s.entries {
			id := fmt.Sprintf("%d-%d", r.now.Add(-s.ago-time.Duration(s.entries-1-i)*s.step).UnixMilli(), i)
			r.ids[s.name] = append(r.ids[s.name], id)
			pipe.XAdd(ctx, &redis.XAddArgs{Stream: "stream:" + s.name, ID: id, Values: []any{"id", "1", "data", "some bytes"}})
		}
	}
	_, err := pipe.Exec(ctx)
	mustDo(t, err)
	for _, layout := range layouts {
		w := layout + " "
		r.session(t, layout, w+"live: 1", "busy", time.Minute)
		r.session(t, layout, w+"live-2", "idle", 23*time.Hour)
		r.session(t, layout, w+"stale \xfe", "dead", 26*time.Hour)
		r.session(t, layout, w+"stale-2", "busy", 25*time.Hour)
		r.session(t, layout, w+"odd", "aged", -48*time.Hour)
	}
}

func (r *rig) session(t *testing.T, layout, identity, stream string, ago time.Duration) {
	t.Helper()
	ctx := t.Context()
	updated := fmt.Sprint(r.now.Add(-ago).UnixMilli())
	fields := []string{"streamSessionId", "1", "streamName", stream, "streamPosition", "0-0", "lastUpdated", updated, "json", `{"identity":"x"}`}
	switch layout {
	case "keys":
		mustDo(t, r.client.HSet(ctx, "sessions:"+identity, fields).Err())
	case "fields":
		for i := 0; i < len(fields); i += 2 {
			fields[i] = identity + ":" + fields[i]
		}
		mustDo(t, r.client.HSet(ctx, "sessions", fields).Err())
	default:
		value := fmt.Sprintf(`{"streamSessionId":1,"streamName":"%s","streamPosition":"0-0","lastUpdated":%s,"json":{"identity":"x"}}`, stream, updated)
		mustDo(t, r.client.HSet(ctx, "sessions", identity, value).Err())
	}
}

// keeps checks that nothing is missing that the policy keeps, whatever became
// of the rest.
func (r *rig) keeps(t *testing.T, layouts ...string) {
	t.Helper()
	for _, s := range rigStreams {
		got := r.entries(t, s.name)
		want := r.ids[s.name]
		if len(got) < s.left || !slices.Equal(got, want[len(want)-min(len(got), len(want)):]) {
			t.Errorf("stream %q has %d entries, and the newest %d are to stay", s.name, len(got), s.left)
		}
	}
	for _, layout := range layouts {
		for _, identity := range []string{"live: 1", "live-2", "odd"} {
			if !r.has(t, layout, layout+" "+identity) {
				t.Errorf("session %q of the %s layout is gone", identity, layout)
			}
		}
	}
	if got := r.client.Get(t.Context(), "lastStreamSessionId").Val(); got != "42" {
		t.Errorf("lastStreamSessionId is %s", got)
	}
}

// has looks for one session.
func (r *rig) has(t *testing.T, layout, identity string) bool {
	t.Helper()
	ctx := t.Context()
	switch layout {
	case "keys":
		n, err := r.client.Exists(ctx, "sessions:"+identity).Result()
		mustDo(t, err)
		return n == 1
	case "fields":
		identity += ":streamName"
	}
	found, err := r.client.HExists(ctx, "sessions", identity).Result()
	mustDo(t, err)
	return found
}

// tidy checks that what is left is what a trim and a clean-up leave.
func (r *rig) tidy(t *testing.T, layouts ...string) {
	t.Helper()
	r.keeps(t, layouts...)
	for _, s := range rigStreams {
		if n := len(r.entries(t, s.name)); n > s.most {
			t.Errorf("stream %q has %d entries, want at most %d", s.name, n, s.most)
		}
	}
	names := r.client.SMembers(t.Context(), "streams").Val()
	slices.Sort(names)
	if want := []string{"aged", "busy", "exact: one", "idle", "missing", "short*", "text"}; !slices.Equal(names, want) {
		t.Errorf("the names are %q, want %q", names, want)
	}
	if n := len(r.sessions(t)); n != 3*len(layouts) {
		t.Errorf("the sessions are %q", r.sessions(t))
	}
}

func (r *rig) entries(t *testing.T, stream string) []string {
	t.Helper()
	messages, err := r.client.XRange(t.Context(), "stream:"+stream, "-", "+").Result()
	mustDo(t, err)
	ids := make([]string, len(messages))
	for i, m := range messages {
		ids[i] = m.ID
	}
	return ids
}

// sessions are the identities in all layouts.
func (r *rig) sessions(t *testing.T) []string {
	t.Helper()
	ctx := t.Context()
	var all []string
	for field, value := range r.client.HGetAll(ctx, "sessions").Val() {
		if identity, ok := strings.CutSuffix(field, ":streamName"); ok {
			all = append(all, identity)
		} else if strings.HasPrefix(value, "{") && !strings.HasSuffix(field, ":json") {
			all = append(all, field)
		}
	}
	keys := func(ctx context.Context, node *redis.Client) error {
		for _, key := range node.Keys(ctx, "sessions:*").Val() {
			all = append(all, strings.TrimPrefix(key, "sessions:"))
		}
		return nil
	}
	switch client := r.client.(type) {
	case *redis.ClusterClient:
		nodes := make(chan *redis.Client, 100)
		mustDo(t, client.ForEachMaster(ctx, func(_ context.Context, node *redis.Client) error { nodes <- node; return nil }))
		close(nodes)
		for node := range nodes {
			mustDo(t, keys(ctx, node))
		}
	case *redis.Client:
		mustDo(t, keys(ctx, client))
	}
	slices.Sort(all)
	return slices.Compact(all)
}

func mustDo(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
