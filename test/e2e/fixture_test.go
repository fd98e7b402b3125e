package e2e

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/streamkeeper/streamkeeper/buffer/registry"
	"github.com/streamkeeper/streamkeeper/internal/program"
	"github.com/streamkeeper/streamkeeper/internal/redistest"
)

// allLayouts are the names of all layouts.
func allLayouts() (names []string) {
	for _, layout := range registry.Layouts() {
		names = append(names, string(layout))
	}
	return names
}

// fixture is a stream buffer in whatever topology, with something of everything
// in it. It knows what is right after a trim and a clean-up.
type fixture struct {
	env    program.Env
	client redis.UniversalClient
	now    time.Time
	// server is the only one; nil where there are several.
	server *redistest.Server
	// few has a fifth of the entries, for tests that do not ask which of them stay.
	few bool
	// streams are how each stream was filled.
	streams map[string]filling
}

// fixtureStreams are streams, and what a trim and a clean-up leave of them. Of
// aged, 540 entries are older than its limit.
var fixtureStreams = []struct {
	name    string
	entries int
	// ago is the age of the newest entry, step lies between two.
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

// fixtureSessions are sessions, in each layout. The time of the last is in the
// future, which is malformed.
var fixtureSessions = []struct {
	identity, stream string
	ago              time.Duration
	stays            bool
}{
	{"live: 1", "busy", time.Minute, true},
	{"live-2", "idle", 23 * time.Hour, true},
	{"stale \xfe", "dead", 26 * time.Hour, false},
	{"stale-2", "busy", 25 * time.Hour, false},
	{"odd", "aged", -48 * time.Hour, true},
}

// newFixture is an empty one, with the limits that go with the streams.
func newFixture(client redis.UniversalClient, url string) *fixture {
	return &fixture{
		env: program.Env{
			"REDIS_URL": url, "TRIM_MAX_LENGTH": "1000", "TRIM_POLICIES": `aged: max_age=1h; "exact: one": exact=true`,
		},
		client: client, now: time.Now(), streams: make(map[string]filling),
	}
}

// startFixture is a full one on a server of its own.
func startFixture(t *testing.T, layouts ...string) *fixture {
	t.Helper()
	server := redistest.Start(t)
	f := newFixture(server.Client, server.URL())
	f.server = server
	f.fill(t, layouts...)
	mustDo(t, server.ResetCalls(t.Context()))
	return f
}

// fill empties Redis and puts everything in, sessions in the layouts named.
func (f *fixture) fill(t *testing.T, layouts ...string) {
	t.Helper()
	ctx := t.Context()
	f.each(t, func(ctx context.Context, node *redis.Client) error { return node.FlushAll(ctx).Err() })
	f.now = time.Now()
	clear(f.streams)
	pipe := f.client.Pipeline()
	pipe.Set(ctx, "lastStreamSessionId", 42, 0)
	pipe.Set(ctx, "stream:text", "no stream", 0)
	pipe.SAdd(ctx, "streams", "missing", "text")
	_, err := pipe.Exec(ctx)
	mustDo(t, err)
	for _, s := range fixtureStreams {
		if f.few {
			s.entries /= 5
		}
		f.stream(t, s.name, s.entries, s.ago, s.step)
	}
	for _, layout := range layouts {
		for _, s := range fixtureSessions {
			f.session(t, layout, identityIn(layouts, layout, s.identity), s.stream, s.ago)
		}
	}
}

// identityIn tells sessions of several layouts apart.
func identityIn(layouts []string, layout, identity string) string {
	if len(layouts) > 1 {
		return layout + " " + identity
	}
	return identity
}

// each visits every server that holds data.
func (f *fixture) each(t *testing.T, visit func(ctx context.Context, node *redis.Client) error) {
	t.Helper()
	switch client := f.client.(type) {
	case *redis.ClusterClient:
		mustDo(t, client.ForEachMaster(t.Context(), visit))
	case *redis.Client:
		mustDo(t, visit(t.Context(), client))
	}
}

// filling is n entries of a stream, the oldest of the time first, in milliseconds, one
// each step.
type filling struct{ n, first, step int64 }

func (f filling) args(name string) []any { return []any{name, f.n, f.first, f.step} }

// entryLua is the i-th entry of a stream, and what is in it. The server makes and
// compares the entries: to send them would take the most of a test's time.
const entryLua = `
local name, n, first, step = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local function entry(i)
	return string.format('%.0f-%d', first + i * step, i), { 'id', '1', 'data', name .. ' ' .. i .. ' \0\255' }
end
`

var fillScript = redis.NewScript(entryLua + `
for i = 0, n - 1 do
	local id, fields = entry(i)
	redis.call('XADD', KEYS[1], id, unpack(fields))
end
return 0`)

// newestScript is how many entries a stream has, and the first that is not as it was put
// in, if all but the oldest are to be there.
var newestScript = redis.NewScript(entryLua + `
local got = redis.call('XRANGE', KEYS[1], '-', '+')
for i, one in ipairs(got) do
	local id, fields = entry(n - #got + i - 1)
	if one[1] ~= id or #one[2] ~= #fields then
		return { #got, one[1] }
	end
	for j, field in ipairs(fields) do
		if one[2][j] ~= field then
			return { #got, one[1] }
		end
	end
end
return { #got }`)

// stream lists a stream and adds n entries, the newest ago old, one each step.
func (f *fixture) stream(t *testing.T, name string, n int, ago, step time.Duration) {
	t.Helper()
	ctx := t.Context()
	mustDo(t, f.client.SAdd(ctx, "streams", name).Err())
	made := filling{n: int64(n), first: f.now.Add(-ago - time.Duration(n-1)*step).UnixMilli(), step: step.Milliseconds()}
	f.streams[name] = made
	mustDo(t, fillScript.Eval(ctx, f.client, []string{"stream:" + name}, made.args(name)...).Err())
}

// session writes a session that was updated ago.
func (f *fixture) session(t *testing.T, layout, identity, stream string, ago time.Duration) {
	t.Helper()
	ctx := t.Context()
	updated := fmt.Sprint(f.now.Add(-ago).UnixMilli())
	if layout == string(registry.Object) {
		// Byte for byte, as a producer does that is not strict about UTF-8.
		value := fmt.Sprintf(`{"streamSessionId":1,"streamName":"%s","streamPosition":"0-0","lastUpdated":%s,"json":{"identity":"x"}}`, stream, updated)
		mustDo(t, f.client.HSet(ctx, "sessions", identity, value).Err())
		return
	}
	mustDo(t, registry.Produce(ctx, f.client, registry.Layout(layout), "sessions", identity,
		"streamSessionId", "1", "streamName", stream, "streamPosition", "0-0", "lastUpdated", updated, "json", `{"identity":"x"}`))
}

// names are the names in the set of streams.
func (f *fixture) names(t *testing.T) []string {
	t.Helper()
	names := f.client.SMembers(t.Context(), "streams").Val()
	slices.Sort(names)
	return names
}

// sessions are the identities in all layouts.
func (f *fixture) sessions(t *testing.T) []string {
	t.Helper()
	var all []string
	for field, value := range f.client.HGetAll(t.Context(), "sessions").Val() {
		if identity, ok := strings.CutSuffix(field, ":streamName"); ok {
			all = append(all, identity)
		} else if strings.HasPrefix(value, "{") && !strings.HasSuffix(field, ":json") {
			all = append(all, field)
		}
	}
	keys := make(chan string, 1000)
	f.each(t, func(ctx context.Context, node *redis.Client) error {
		for _, key := range node.Keys(ctx, "sessions:*").Val() {
			keys <- strings.TrimPrefix(key, "sessions:")
		}
		return nil
	})
	close(keys)
	for identity := range keys {
		all = append(all, identity)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// hasKey reports whether a session has a key of its own. While slots move, a key may be
// listed by no node, as it goes to one that was asked before; asked for, it is there.
func (f *fixture) hasKey(t *testing.T, identity string) bool {
	t.Helper()
	n, err := f.client.Exists(t.Context(), "sessions:"+identity).Result()
	mustDo(t, err)
	return n > 0
}

// left checks that a stream holds exactly its n newest entries, byte for byte.
func (f *fixture) left(t *testing.T, name string, n int) {
	t.Helper()
	if got := f.newest(t, name, n); got != n {
		t.Errorf("stream %q has %d entries, want %d", name, got, n)
	}
}

// newest checks that a stream holds at least its n newest entries, byte for
// byte, and nothing but the newest. It returns how many they are.
func (f *fixture) newest(t *testing.T, name string, n int) int {
	t.Helper()
	made := f.streams[name]
	answer, err := newestScript.Eval(t.Context(), f.client, []string{"stream:" + name}, made.args(name)...).Slice()
	mustDo(t, err)
	got := answer[0].(int64)
	if got < int64(n) || got > made.n {
		t.Errorf("stream %q has %d entries, and the newest %d of %d are to stay", name, got, n, made.n)
	} else if len(answer) > 1 {
		t.Errorf("stream %q: entry %s is not as it was put in, or not in its place", name, answer[1])
	}
	return int(got)
}

// keeps checks that nothing is missing that the policy keeps, whatever became
// of the rest.
func (f *fixture) keeps(t *testing.T, layouts ...string) {
	t.Helper()
	for _, s := range fixtureStreams {
		f.newest(t, s.name, s.left)
	}
	there := f.sessions(t)
	for _, layout := range layouts {
		for _, s := range fixtureSessions {
			if identity := identityIn(layouts, layout, s.identity); s.stays && !slices.Contains(there, identity) && !f.hasKey(t, identity) {
				t.Errorf("session %q of the %s layout is gone", identity, layout)
			}
		}
	}
	if got := f.client.Get(t.Context(), "lastStreamSessionId").Val(); got != "42" {
		t.Errorf("lastStreamSessionId is %s", got)
	}
}

// tidy checks that what is left is what a trim and a clean-up leave.
func (f *fixture) tidy(t *testing.T, layouts ...string) {
	t.Helper()
	f.keeps(t, layouts...)
	for _, s := range fixtureStreams {
		if n := int(f.client.XLen(t.Context(), "stream:"+s.name).Val()); n > s.most {
			t.Errorf("stream %q has %d entries, want at most %d", s.name, n, s.most)
		}
	}
	if got, want := f.names(t), []string{"aged", "busy", "exact: one", "idle", "missing", "short*", "text"}; !slices.Equal(got, want) {
		t.Errorf("the names are %q, want %q", got, want)
	}
	if got := f.sessions(t); len(got) != 3*len(layouts) {
		t.Errorf("the sessions are %q", got)
	}
}

func mustDo(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
