package buffer

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/streamkeeper/streamkeeper/buffer/registry"
	"github.com/streamkeeper/streamkeeper/internal/redisconn"
	"github.com/streamkeeper/streamkeeper/internal/redistest"
)

// writeJSON writes a session whose Session JSON is an open one, with
// properties that nobody knows.
func writeJSON(t *testing.T, rdb *redis.Client, layout registry.Layout, identity string, ms int64, json string) {
	t.Helper()
	ctx := t.Context()
	fields := []any{"x", "kept", "streamSessionId", "7", "lastUpdated", ms, "streamName", "s", "json", json, "tStart", "1", "tEnd", "2"}
	var err error
	switch layout {
	case registry.Object:
		err = rdb.HSet(ctx, "sessions", identity, objectValue(ms, json)).Err()
	default:
		err = registry.Produce(ctx, rdb, layout, "sessions", identity, fields...)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func objectValue(ms int64, json string) string {
	return fmt.Sprintf(`{"x":[1.0,"\u00e9"],"streamSessionId":7,"lastUpdated":%d,"streamName":"s","json":%s,"tStart":"1"}`, ms, json)
}

// sessionOf is one session.
func sessionOf(t *testing.T, b *Buffer, identity string) registry.Session {
	t.Helper()
	for _, s := range readAll(t, b) {
		if s.Identity == identity {
			return s
		}
	}
	t.Fatalf("there is no session %q", identity)
	return registry.Session{}
}

// contents is all that is left of a session.
func contents(t *testing.T, rdb *redis.Client, layout registry.Layout, identity string) map[string]string {
	t.Helper()
	all, err := rdb.HGetAll(t.Context(), layout.KeyOf("sessions", identity)).Result()
	if err != nil {
		t.Fatal(err)
	}
	return all
}

const openJSON, abandonedJSON = `{"identity":"a","state":"open","n":1.50}`, `{"identity":"a","state":"abandoned","n":1.50}`

func TestSetJSONChangesNothingElse(t *testing.T) {
	t.Parallel()
	for _, layout := range registry.Layouts() {
		t.Run(string(layout), func(t *testing.T) {
			eachServer(t, func(t *testing.T, url string, rdb *redis.Client) {
				for _, identity := range oddNames {
					writeJSON(t, rdb, layout, identity, five, openJSON)
					before := contents(t, rdb, layout, identity)
					if layout.HasOwnKey() {
						rdb.PExpire(t.Context(), layout.KeyOf("sessions", identity), time.Hour)
					}
					b := open(t, url, func(o *Options) { o.Layouts = []registry.Layout{layout} })
					sessions := readAll(t, b)
					i := slices.IndexFunc(sessions, func(s registry.Session) bool { return s.Identity == identity })
					jsons, err := b.SessionJSONs(t.Context(), sessions)
					if err != nil || jsons[i] != openJSON {
						t.Fatalf("%q: the Session JSON is %q, %v", identity, jsons, err)
					}
					if holds, err := b.HoldsJSON(t.Context(), sessions[i], openJSON); !holds || err != nil {
						t.Errorf("%q does not hold it: %v", identity, err)
					}
					if set, err := b.SetJSON(t.Context(), sessions[i], openJSON, abandonedJSON); !set || err != nil {
						t.Errorf("%q is not set: %v", identity, err)
					}
					after := contents(t, rdb, layout, identity)
					for field, value := range before {
						if want := strings.Replace(value, openJSON, abandonedJSON, 1); after[field] != want {
							t.Errorf("%q: %q is %s, want %s", identity, field, after[field], want)
						}
					}
					if len(after) != len(before) {
						t.Errorf("%q: %v", identity, after)
					}
					if layout.HasOwnKey() && rdb.PTTL(t.Context(), layout.KeyOf("sessions", identity)).Val() < 59*time.Minute {
						t.Errorf("%q has lost its TTL", identity)
					}
				}
			})
		})
	}
}

func TestAFieldThatExpiresByItselfStillDoes(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	ctx := t.Context()
	for _, layout := range registry.Layouts() {
		writeJSON(t, s.Client, layout, "a", five, openJSON)
		key, field := layout.KeyOf("sessions", "a"), map[registry.Layout]string{registry.Object: "a", registry.Fields: "a:json"}[layout]
		if layout.HasOwnKey() {
			field = "json"
		}
		if err := s.Client.HPExpire(ctx, key, time.Hour, field).Err(); err != nil {
			t.Skip("fields of a Hash cannot expire before Redis 7.4")
		}
		at := s.Client.HPExpireTime(ctx, key, field).Val()
		b := open(t, s.URL(), func(o *Options) { o.Layouts = []registry.Layout{layout} })
		if set, err := b.SetJSON(ctx, sessionOf(t, b, "a"), openJSON, abandonedJSON); !set || err != nil {
			t.Errorf("%s: %v, %v", layout, set, err)
		}
		if now := s.Client.HPExpireTime(ctx, key, field).Val(); len(at) != 1 || at[0] <= 0 || !slices.Equal(now, at) {
			t.Errorf("%s: the field expires at %v, and did at %v", layout, now, at)
		}
	}
}

func TestSetJSONComparesAllThatWasRead(t *testing.T) {
	t.Parallel()
	for _, layout := range registry.Layouts() {
		t.Run(string(layout), func(t *testing.T) {
			eachServer(t, func(t *testing.T, url string, rdb *redis.Client) {
				for name, change := range map[string]func(){
					"its time":         func() { writeJSON(t, rdb, layout, "a", five+1, openJSON) },
					"its Session JSON": func() { writeJSON(t, rdb, layout, "a", five, strings.Replace(openJSON, "1.50", "1.5", 1)) },
					"its being there":  func() { rdb.Del(t.Context(), layout.KeyOf("sessions", "a")) },
				} {
					writeJSON(t, rdb, layout, "a", five, openJSON)
					b := open(t, url, nil)
					s := sessionOf(t, b, "a")
					change()
					before := contents(t, rdb, layout, "a")
					if holds, err := b.HoldsJSON(t.Context(), s, openJSON); holds || err != nil {
						t.Errorf("%s has changed, and it holds: %v", name, err)
					}
					if set, err := b.SetJSON(t.Context(), s, openJSON, abandonedJSON); set || err != nil {
						t.Errorf("%s has changed, and it is set: %v", name, err)
					}
					if after := contents(t, rdb, layout, "a"); fmt.Sprint(after) != fmt.Sprint(before) {
						t.Errorf("%s has changed: %v became %v", name, before, after)
					}
				}
			})
		})
	}
}

func TestASessionJSONThatIsMissingChangedOrHugeIsNotRead(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	for _, layout := range registry.Layouts() {
		t.Run(string(layout), func(t *testing.T) {
			s.Client.FlushAll(t.Context())
			writeJSON(t, s.Client, layout, "huge", five, `{"a":"`+strings.Repeat("x", registry.MaxSessionJSON)+`"}`)
			writeJSON(t, s.Client, layout, "none", five, "null")
			s.Client.HDel(t.Context(), layout.KeyOf("sessions", "none"), "json", "none:json")
			b := open(t, s.URL(), nil)
			sessions := readAll(t, b)
			if layout != registry.Object {
				// What is read there is the entry itself.
				writeJSON(t, s.Client, layout, "changed", five, openJSON)
				sessions = readAll(t, b)
				writeJSON(t, s.Client, layout, "changed", five+1, openJSON)
			}
			jsons, err := b.SessionJSONs(t.Context(), sessions)
			if err != nil || strings.Join(jsons, "") != "" || len(jsons) != len(sessions) {
				t.Errorf("%q, %v", jsons, err)
			}
			if layout.HasOwnKey() {
				s.Client.Set(t.Context(), layout.KeyOf("sessions", "none"), "no Hash", 0)
				if jsons, err := b.SessionJSONs(t.Context(), sessions); err != nil || strings.Join(jsons, "") != "" {
					t.Errorf("%q, %v", jsons, err)
				}
				for _, session := range sessions {
					if set, err := b.SetJSON(t.Context(), session, "a", "b"); set || err != nil {
						t.Errorf("%q: %v, %v", session.Identity, set, err)
					}
				}
			}
		})
	}
}

func TestAMessageIsAppendedOnlyWhereItsSessionIsSilent(t *testing.T) {
	t.Parallel()
	eachServer(t, func(t *testing.T, url string, rdb *redis.Client) {
		ctx, now := t.Context(), time.Now()
		add := func(stream string, age time.Duration, id any, data string) {
			if err := rdb.XAdd(ctx, &redis.XAddArgs{Stream: "stream:" + stream, ID: fmt.Sprintf("%d-*", now.Add(-age).UnixMilli()), Values: []any{"id", id, "data", data}}).Err(); err != nil {
				t.Fatal(err)
			}
		}
		add("its own is old", 3*time.Hour, 7, "x")
		add("its own is young", time.Minute, 7, "x")
		add("another's is young", time.Minute, 8, "x")
		add("its own is young, and known", 30*time.Minute, 7, "x")
		add("its own is young, and known", time.Minute, 8, "x")
		for range lookMessages + 1 {
			add("too many to look at", time.Minute, 8, "x")
		}
		add("appended before", time.Minute, 7, "the message")
		add("appended before", time.Second, 8, "x")
		add("appended before, and then its own", time.Minute, 7, "the message")
		add("appended before, and then its own", time.Second, 7, "x")
		rdb.XAdd(ctx, &redis.XAddArgs{Stream: "stream:counted", ID: "5-1", Values: []any{"id", 8, "data", "x"}})
		rdb.XAdd(ctx, &redis.XAddArgs{Stream: "stream:ahead", ID: fmt.Sprintf("%d-1", now.Add(72*time.Hour).UnixMilli()), Values: []any{"id", 8, "data", "x"}})
		rdb.XGroupCreateMkStream(ctx, "stream:never an entry", "g", "0")
		add("trimmed to nothing", 3*time.Hour, 7, "x")
		rdb.XTrimMaxLen(ctx, "stream:trimmed to nothing", 0)
		rdb.Set(ctx, "stream:text", "no stream", 0)
		b := open(t, url, nil)
		for stream, want := range map[string]struct {
			end   Appending
			added int64
		}{
			"its own is old":                    {Appended, 1},
			"its own is young":                  {NotAppended, 0},
			"another's is young":                {Appended, 1},
			"its own is young, and known":       {Appended, 1},
			"too many to look at":               {NotAppended, 0},
			"appended before":                   {Appended, 0},
			"appended before, and then its own": {NotAppended, 0},
			"counted":                           {NotAppended, 0},
			"ahead":                             {NotAppended, 0},
			"never an entry":                    {NoStream, 0},
			"trimmed to nothing":                {Appended, 1},
			"missing":                           {NoStream, 0},
			"text":                              {NotAppended, 0},
		} {
			before := rdb.XLen(ctx, "stream:"+stream).Val()
			silence := Silence{After: TimeID(now.Add(-25 * time.Minute)), Since: now.Add(-time.Hour), Now: now}
			end, err := b.AppendIfSilent(ctx, registry.Session{Stream: stream, ID: "7"}, []byte("the message"), silence)
			if err != nil || end != want.end {
				t.Errorf("%s: %v, %v", stream, end, err)
			}
			if added := rdb.XLen(ctx, "stream:"+stream).Val() - before; added != want.added {
				t.Errorf("%s: %d messages were added", stream, added)
			}
			if want.added == 0 {
				continue
			}
			last := rdb.XRevRangeN(ctx, "stream:"+stream, "+", "-", 1).Val()
			if len(last) != 1 || last[0].Values["id"] != "7" || last[0].Values["data"] != "the message" || len(last[0].Values) != 2 {
				t.Errorf("%s: the last message is %v", stream, last)
			}
		}
		if n := rdb.Exists(ctx, "stream:missing").Val(); n != 0 {
			t.Error("a stream was made")
		}
	})
}

func TestWithoutMemoryNothingIsAppendedOrSet(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	ctx := t.Context()
	for _, layout := range registry.Layouts() {
		writeJSON(t, s.Client, layout, string(layout), five, openJSON)
	}
	s.Client.XAdd(ctx, &redis.XAddArgs{Stream: "stream:s", Values: []any{"id", 8, "data", "x"}})
	b := open(t, s.URL(), nil)
	var sessions []registry.Session
	for _, layout := range registry.Layouts() {
		sessions = append(sessions, sessionOf(t, b, string(layout)))
	}
	s.Client.ConfigSet(ctx, "maxmemory", "1")
	if _, err := b.AppendIfSilent(ctx, registry.Session{Stream: "s", ID: "7"}, []byte("x"), Silence{Since: time.Now(), Now: time.Now()}); redisconn.ClassOf(err) != redisconn.ClassOOM {
		t.Errorf("appending: %v", err)
	}
	for _, session := range sessions {
		if set, err := b.SetJSON(ctx, session, openJSON, abandonedJSON); set || redisconn.ClassOf(err) != redisconn.ClassOOM {
			t.Errorf("setting in the %s layout: %v, %v", session.Layout, set, err)
		}
	}
	if n := s.Client.XLen(ctx, "stream:s").Val(); n != 1 {
		t.Errorf("%d messages", n)
	}
}

func TestAReadOnlyBufferNeitherAppendsNorSets(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	writeJSON(t, s.Client, registry.Keys, "a", five, openJSON)
	b := open(t, s.URL(), func(o *Options) { o.ReadOnly = true })
	session := sessionOf(t, b, "a")
	if jsons, err := b.SessionJSONs(t.Context(), []registry.Session{session}); err != nil || jsons[0] != openJSON {
		t.Errorf("%q, %v", jsons, err)
	}
	if _, err := b.SetJSON(t.Context(), session, openJSON, abandonedJSON); err == nil {
		t.Error("it sets")
	}
	if _, err := b.AppendIfSilent(t.Context(), session, nil, Silence{}); err == nil {
		t.Error("it appends")
	}
}
