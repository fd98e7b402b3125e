package buffer

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"github.com/streamkeeper/streamkeeper/buffer/registry"
	"github.com/streamkeeper/streamkeeper/internal/redisconn"
	"github.com/streamkeeper/streamkeeper/internal/redistest"
)

// oddNames are names and identities that a careless reader would trip over.
var oddNames = []string{
	"plain", "with a space", "a:b:c", "ends:", ":starts", "*", "?[a-z]\\", "\xff\xfe", "é🏎", "", "a:lastUpdated", "x:json", "new\nline", "sessions", "{tag}",
}

// writeSession writes a session as producers of each layout do.
func writeSession(ctx context.Context, rdb redis.Cmdable, layout registry.Layout, identity, stream string, updated int64) {
	pairs := []any{"streamSessionId", 7, "streamName", stream, "streamPosition", "0-0", "lastUpdated", updated}
	switch layout {
	case registry.Object:
		rdb.HSet(ctx, "sessions", identity, objectEntry(stream, updated))
		return
	case registry.Fields: // which is scattered over pages only if there are many
		pairs = append(pairs, "json", `{"identity":"`+strings.Repeat("x", 80)+`","state":2}`, "tStart", 1, "tEnd", 2)
	}
	_ = registry.Produce(ctx, rdb, layout, "sessions", identity, pairs...)
}

// objectEntry quotes a name byte for byte, as a producer that is not strict
// about UTF-8 does.
func objectEntry(stream string, updated int64) string {
	quoted := strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`).Replace(stream)
	return fmt.Sprintf(`{"streamSessionId":7,"streamName":"%s","lastUpdated":%d,"json":{"state":2,"lastUpdated":1}}`, quoted, updated)
}

// eachServer runs a test on a real server and on miniredis.
func eachServer(t *testing.T, test func(t *testing.T, url string, rdb *redis.Client)) {
	t.Run("redis", func(t *testing.T) {
		s := redistest.Start(t)
		test(t, s.URL(), s.Client)
	})
	t.Run("miniredis", func(t *testing.T) {
		m := miniredis.RunT(t)
		rdb := redis.NewClient(&redis.Options{Addr: m.Addr(), Protocol: 2})
		t.Cleanup(func() { _ = rdb.Close() })
		test(t, "redis://"+m.Addr(), rdb)
	})
}

// collect reads the sessions and counts the visits to each.
func collect(t *testing.T, b *Buffer) (sessions map[string]registry.Session, visits map[string]int) {
	t.Helper()
	sessions, visits = make(map[string]registry.Session), make(map[string]int)
	if err := b.WalkSessions(t.Context(), func(page []registry.Session) error {
		for _, s := range page {
			key := string(s.Layout) + "|" + s.Identity
			sessions[key] = s
			visits[key]++
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return sessions, visits
}

func TestWalkSessionsReadsEveryLayoutAndAllOfThemMixed(t *testing.T) {
	t.Parallel()
	const at = 1763874856000
	for name, layouts := range map[string][]registry.Layout{
		"keys": {registry.Keys}, "object": {registry.Object}, "fields": {registry.Fields}, "mixed": registry.Layouts(),
	} {
		t.Run(name, func(t *testing.T) {
			eachServer(t, func(t *testing.T, url string, rdb *redis.Client) {
				ctx := t.Context()
				for _, layout := range layouts {
					for i, odd := range oddNames {
						writeSession(ctx, rdb, layout, odd, oddNames[len(oddNames)-1-i], at+int64(i))
					}
				}
				for _, pinned := range [][]registry.Layout{nil, layouts} {
					b := open(t, url, func(o *Options) { o.Layouts = pinned })
					sessions, visits := collect(t, b)
					for _, layout := range layouts {
						for i, odd := range oddNames {
							key := string(layout) + "|" + odd
							s := sessions[key]
							if visits[key] != 1 || !s.HasStream || s.Stream != oddNames[len(oddNames)-1-i] || s.Malformed != nil ||
								s.Updated.UnixMilli() != at+int64(i) || s.ID != "7" {
								t.Errorf("pinned %v: %q was visited %d times as %+v", pinned, key, visits[key], s)
							}
						}
					}
					if want := len(layouts) * len(oddNames); len(sessions) != want {
						t.Errorf("pinned %v: %d sessions, want %d", pinned, len(sessions), want)
					}
				}
			})
		})
	}
}

func TestWalkSessionsVisitsEachOnceHoweverItsFieldsScatter(t *testing.T) {
	t.Parallel()
	eachServer(t, func(t *testing.T, url string, rdb *redis.Client) {
		ctx := t.Context()
		const n = 1200 // several pages of the shared Hash
		pipe := rdb.Pipeline()
		for i := range n {
			identity := fmt.Sprintf("session %d:a", i)
			switch i % 6 {
			case 0: // whole
				writeSession(ctx, pipe, registry.Fields, identity, "s", five)
			case 1: // the other name of the time, no stream
				pipe.HSet(ctx, "sessions", identity+":updated", 5, identity+":tStart", 1, identity+":tEnd", 2, identity+":json", "{}")
			case 2: // nothing that is read
				pipe.HSet(ctx, "sessions", identity+":streamPosition", "0-0", identity+":tStart", 1, identity+":tEnd", 2, identity+":json", "{}")
			case 3:
				pipe.HSet(ctx, "sessions", identity+":json", "{}")
			case 4:
				pipe.HSet(ctx, "sessions", identity+":tEnd", 2, identity+":json", "{}")
			default: // beside the fields, an entry of the object layout
				pipe.HSet(ctx, "sessions", identity, objectEntry("s", five))
			}
		}
		if _, err := pipe.Exec(ctx); err != nil {
			t.Fatal(err)
		}
		_, visits := collect(t, open(t, url, nil))
		if len(visits) != n {
			t.Errorf("%d sessions were visited, want %d", len(visits), n)
		}
		for key, count := range visits {
			if count != 1 {
				t.Errorf("%q was visited %d times", key, count)
			}
		}
	})
}

func TestMalformedSessionsAreVisitedAndKeepTheirStream(t *testing.T) {
	t.Parallel()
	eachServer(t, func(t *testing.T, url string, rdb *redis.Client) {
		ctx := t.Context()
		for identity, value := range map[string]string{
			"not json": `hello`, "array": `[]`, "no time": `{"streamName":"s"}`, "text": `{"streamName":"s","lastUpdated":"soon"}`,
			"negative": `{"streamName":"s","lastUpdated":-5}`, "cut": `{"streamName":"s","lastUpdated":5`,
		} {
			rdb.HSet(ctx, "sessions", identity, value)
		}
		rdb.HSet(ctx, "sessions", "no time:streamName", "s", "text:lastUpdated", "soon", "text:streamName", "s", "negative:lastUpdated", "-5")
		rdb.HSet(ctx, "sessions:no time", "streamName", "s", "json", "{}")
		rdb.HSet(ctx, "sessions:text", "streamName", "s", "lastUpdated", "soon")
		rdb.HSet(ctx, "sessions:nothing known", "color", "red")
		rdb.Set(ctx, "sessions:a string", "x", 0)
		sessions, _ := collect(t, open(t, url, nil))
		for key, want := range map[string]struct {
			err   error
			owned bool
		}{
			"object|not json": {registry.ErrNotJSON, false}, "object|array": {registry.ErrNotJSON, false}, "object|no time": {registry.ErrNoTime, true},
			"object|text": {registry.ErrTimeInvalid, true}, "object|negative": {registry.ErrTimeInvalid, true}, "object|cut": {registry.ErrNotJSON, true},
			"fields|no time": {registry.ErrNoTime, true}, "fields|text": {registry.ErrTimeInvalid, true}, "fields|negative": {registry.ErrTimeInvalid, false},
			"keys|no time": {registry.ErrNoTime, true}, "keys|text": {registry.ErrTimeInvalid, true}, "keys|nothing known": {registry.ErrNoTime, false},
		} {
			s, ok := sessions[key]
			if !ok || !errors.Is(s.Malformed, want.err) || s.HasStream != want.owned {
				t.Errorf("%q: visited %v, %+v", key, ok, s)
			}
			delete(sessions, key)
		}
		for key := range sessions {
			t.Errorf("%q is no session", key)
		}
	})
}

func TestAnIdentityThatEndsLikeAPropertyIsReadInItsLayout(t *testing.T) {
	t.Parallel()
	eachServer(t, func(t *testing.T, url string, rdb *redis.Client) {
		ctx := t.Context()
		// An entry of the object layout whose identity ends in ":json", beside
		// a session of the fields layout whose Session JSON has a member that
		// is called like a time.
		rdb.HSet(ctx, "sessions", "car:json", objectEntry("s", five))
		rdb.HSet(ctx, "sessions", "van:json", `{"identity":"van","state":2,"updated":3}`, "van:lastUpdated", five+1, "van:streamName", "t")
		sessions, visits := collect(t, open(t, url, nil))
		if s := sessions["object|car:json"]; s.Stream != "s" || s.Updated.UnixMilli() != five {
			t.Errorf("the entry is %+v", s)
		}
		if s := sessions["fields|van"]; s.Stream != "t" || s.Updated.UnixMilli() != five+1 {
			t.Errorf("the session is %+v", s)
		}
		if len(visits) != 2 {
			t.Errorf("visited %v", visits)
		}
	})
}

func TestPinnedLayoutsLeaveTheOthersAlone(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	for _, layout := range registry.Layouts() {
		writeSession(t.Context(), s.Client, layout, string(layout), "s", five)
	}
	for layout, want := range map[registry.Layout]string{registry.Keys: "keys|keys", registry.Fields: "fields|fields"} {
		_, visits := collect(t, open(t, s.URL(), func(o *Options) { o.Layouts = []registry.Layout{layout} }))
		if len(visits) != 1 || visits[want] != 1 {
			t.Errorf("%s: visited %v", layout, visits)
		}
	}
	b := open(t, s.URL(), nil)
	n, shared := 0, slices.DeleteFunc(registry.Layouts(), registry.Layout.HasOwnKey)
	if err := b.WalkHashSessions(t.Context(), func(page []registry.Session) error {
		n += len(page)
		return nil
	}); err != nil || n != len(shared) {
		t.Errorf("the Hash has %d sessions, %v", n, err)
	}
}

func TestKeyPrefixesAreTakenLiterally(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	ctx := t.Context()
	s.Client.HSet(ctx, "se*[x]:a", "streamName", "s", "lastUpdated", 5)
	s.Client.HSet(ctx, "seAAx:b", "streamName", "s", "lastUpdated", 5)
	names := DefaultNames
	names.Sessions = "se*[x]"
	if _, visits := collect(t, open(t, s.URL(), func(o *Options) { o.Names = names })); len(visits) != 1 || visits["keys|a"] != 1 {
		t.Errorf("visited %v", visits)
	}
}

func TestBigEntriesComeInSmallPages(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	ctx := t.Context()
	const n = 400
	for i := range n {
		s.Client.HSet(ctx, "sessions", fmt.Sprint(i), `{"lastUpdated":5,"json":"`+strings.Repeat("x", 64<<10)+`"}`)
	}
	b := open(t, s.URL(), nil)
	pages, visits := 0, 0
	if err := b.WalkSessions(ctx, func(page []registry.Session) error {
		pages, visits = pages+1, visits+len(page)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if visits != n || pages < n/20 {
		t.Errorf("%d sessions in %d pages", visits, pages)
	}
}

// breaking fails one command by its name, from the nth call on.
type breaking struct {
	name string
	nth  int
	err  error
	// before is called instead of failing, if there is no error.
	before func()

	// A scan fetches its next page meanwhile, so two may come at once.
	mu    sync.Mutex
	calls int
}

func (h *breaking) DialHook(next redis.DialHook) redis.DialHook { return next }

func (h *breaking) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if err := h.meet(cmd); err != nil {
			cmd.SetErr(err)
			return err
		}
		return next(ctx, cmd)
	}
}

func (h *breaking) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		for _, cmd := range cmds {
			if err := h.meet(cmd); err != nil {
				for _, c := range cmds {
					c.SetErr(err)
				}
				return err
			}
		}
		return next(ctx, cmds)
	}
}

func (h *breaking) meet(cmd redis.Cmder) error {
	if cmd.Name() != h.name {
		return nil
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.calls++; h.calls < h.nth {
		return nil
	}
	if h.before != nil {
		h.before()
		h.before = nil
	}
	return h.err
}

func TestAWalkThatBreaksOffSaysSo(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	ctx := t.Context()
	pipe := s.Client.Pipeline()
	for i := range 3000 {
		for _, layout := range registry.Layouts() {
			writeSession(ctx, pipe, layout, fmt.Sprint(i), "s", five)
		}
	}
	if _, err := pipe.Exec(ctx); err != nil {
		t.Fatal(err)
	}
	broken := errors.New("broken")
	for _, tt := range []struct {
		command string
		nth     int
	}{{"hscan", 1}, {"hscan", 3}, {"hget", 1}, {"hmget", 2}, {"hmget", 3500}, {"scan", 1}, {"scan", 2}} {
		b := open(t, s.URL(), nil)
		b.rdb.AddHook(&breaking{name: tt.command, nth: tt.nth, err: broken})
		if err := b.WalkSessions(ctx, func([]registry.Session) error { return nil }); !errors.Is(err, broken) {
			t.Errorf("%s %d: the scan ends with %v", tt.command, tt.nth, err)
		}
	}
	b := open(t, s.URL(), nil)
	if err := b.WalkSessions(ctx, func([]registry.Session) error { return broken }); !errors.Is(err, broken) {
		t.Errorf("the visitor's error becomes %v", err)
	}
}

func TestAKeyThatMayNotBeReadBreaksTheWalkOff(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	ctx := t.Context()
	for _, identity := range []string{"ours", "theirs"} {
		writeSession(ctx, s.Client, registry.Keys, identity, "s", five)
	}
	s.Client.Do(ctx, "ACL", "SETUSER", "narrow", "on", ">pw", "+@all", "~sessions:ours", "~sessions")
	b := open(t, strings.Replace(s.URL(), "redis://", "redis://narrow:pw@", 1), nil)
	if err := b.WalkSessions(ctx, func([]registry.Session) error { return nil }); redisconn.ClassOf(err) != redisconn.ClassAuth {
		t.Errorf("the scan ends with %v", err)
	}
}

func TestWalkStreamKeysVisitsOursListedOrNot(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	ctx := t.Context()
	for _, name := range oddNames {
		s.Client.XAdd(ctx, &redis.XAddArgs{Stream: "stream:" + name, Values: []any{"id", 1}})
	}
	s.Client.Set(ctx, "stream:string", "x", 0)
	s.Client.XAdd(ctx, &redis.XAddArgs{Stream: "other:stream", Values: []any{"id", 1}})
	exclude, err := ParsePatterns("with*")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	if err := open(t, s.URL(), func(o *Options) { o.Exclude = exclude }).WalkStreamKeys(ctx, func(names []string) error {
		got = append(got, names...)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	want := slices.DeleteFunc(slices.Clone(oddNames), func(name string) bool { return name == "with a space" })
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestSessionsExistLooksInTheirLayouts(t *testing.T) {
	t.Parallel()
	eachServer(t, func(t *testing.T, url string, rdb *redis.Client) {
		b := open(t, url, nil)
		for _, layout := range registry.Layouts() {
			gone := make([]registry.Session, 1200)
			for i := range gone {
				gone[i] = registry.Session{Identity: fmt.Sprint("gone ", i), Layout: layout}
			}
			if found, err := b.SessionsExist(t.Context(), gone); found || err != nil {
				t.Errorf("%s: %v, %v", layout, found, err)
			}
			writeSession(t.Context(), rdb, layout, "gone 1100", "s", time.Now().UnixMilli())
			if found, err := b.SessionsExist(t.Context(), gone); !found || err != nil {
				t.Errorf("%s: %v, %v after it came back", layout, found, err)
			}
		}
	})
}

// expire removes sessions without a copy, and says which it removed.
func expire(ctx context.Context, b *Buffer, sessions []registry.Session) ([]bool, error) {
	ended, err := b.Expire(ctx, sessions, registry.Expiring{})
	removed := make([]bool, len(ended))
	for i, e := range ended {
		removed[i] = e.Removed
	}
	return removed, err
}
