package buffer

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/streamkeeper/streamkeeper/buffer/registry"
	"github.com/streamkeeper/streamkeeper/internal/redistest"
)

// write writes fields of one session in a layout, as they stand.
func writeFields(t *testing.T, rdb *redis.Client, layout registry.Layout, identity string, fields map[string]string) {
	t.Helper()
	var err error
	switch layout {
	case registry.Object:
		var members []string
		for name, value := range fields {
			if !strings.HasPrefix(value, "{") {
				value = fmt.Sprintf("%q", value)
			}
			members = append(members, fmt.Sprintf("%q:%s", name, value))
		}
		err = rdb.HSet(t.Context(), "sessions", identity, "{"+strings.Join(members, ",")+"}").Err()
	default:
		var pairs []any
		for name, value := range fields {
			pairs = append(pairs, name, value)
		}
		err = registry.Produce(t.Context(), rdb, layout, "sessions", identity, pairs...)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func TestTimesInAnotherUnitAreMalformedAndTheUnitIsNamed(t *testing.T) {
	t.Parallel()
	now := time.Now()
	for text, want := range map[string]string{
		fmt.Sprint(now.Unix()):                              "seconds",
		fmt.Sprintf("%d.5", now.Unix()):                     "seconds",
		fmt.Sprint(now.Unix() / 60):                         "minutes",
		fmt.Sprint(now.UnixMicro()):                         "microseconds",
		fmt.Sprint(now.UnixNano()):                          "nanoseconds",
		fmt.Sprint(now.UnixNano()/100 + 621355968000000000): ".NET ticks",
		"0":            "too small",
		"999999999999": "too small",
		fmt.Sprint(now.Add(25 * time.Hour).UnixMilli()): "in the future",
		"1000000000000": "",
		fmt.Sprint(now.Add(23 * time.Hour).UnixMilli()): "",
		fmt.Sprint(now.UnixMilli()):                     "",
	} {
		eachLayoutOn(t, text, func(t *testing.T, s *redistest.Server, layout registry.Layout) {
			writeFields(t, s.Client, layout, "a", map[string]string{"streamName": "s", "lastUpdated": text})
			session := sessionOf(t, open(t, s.URL(), nil), "a")
			err := session.Fault(now)
			if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
				t.Errorf("%v, want %q", err, want)
			}
			if !session.HasStream || session.Foreign {
				t.Errorf("it is %+v", session)
			}
		})
	}
}

// eachLayoutOn runs a test in each layout on a real server.
func eachLayoutOn(t *testing.T, name string, test func(t *testing.T, s *redistest.Server, layout registry.Layout)) {
	t.Helper()
	s := redistest.Start(t)
	for _, layout := range registry.Layouts() {
		t.Run(name+"/"+string(layout), func(t *testing.T) {
			s.Client.FlushAll(t.Context())
			test(t, s, layout)
		})
	}
}

func TestWhatNoRTAFieldMarksIsForeignAndStays(t *testing.T) {
	t.Parallel()
	old := fmt.Sprint(time.Now().Add(-72 * time.Hour).UnixMilli())
	s := redistest.Start(t)
	s.Client.SAdd(t.Context(), "streams", "listed")
	for name, tt := range map[string]struct {
		fields  map[string]string
		foreign bool
	}{
		"a web session":             {map[string]string{"user": "bob", "updated": old}, true},
		"its time alone":            {map[string]string{"lastUpdated": old}, true},
		"json without a state":      {map[string]string{"lastUpdated": old, "json": `{"identity":"a"}`}, true},
		"json of another kind":      {map[string]string{"lastUpdated": old, "json": `{"identity":7,"state":"open"}`}, true},
		"json of an unknown state":  {map[string]string{"lastUpdated": old, "json": `{"identity":"a","state":"happy"}`}, true},
		"a stream that is unlisted": {map[string]string{"lastUpdated": old, "stream": "unlisted"}, true},
		"a stream that is listed":   {map[string]string{"lastUpdated": old, "stream": "listed"}, false},
		"a Session JSON":            {map[string]string{"lastUpdated": old, "json": `{"identity":"a","state":"closed"}`}, false},
		"streamSessionId":           {map[string]string{"lastUpdated": old, "streamSessionId": "7"}, false},
		"streamName":                {map[string]string{"lastUpdated": old, "streamName": "x"}, false},
		"streamPosition":            {map[string]string{"lastUpdated": old, "streamPosition": "0-0"}, false},
		"tStart":                    {map[string]string{"lastUpdated": old, "tStart": "1"}, false},
		"tEnd":                      {map[string]string{"updated": old, "tEnd": "1"}, false},
	} {
		for _, layout := range registry.Layouts() {
			t.Run(name+"/"+string(layout), func(t *testing.T) {
				s.Client.Del(t.Context(), sessionKeys([]string{"a"})...)
				writeFields(t, s.Client, layout, "a", tt.fields)
				before := contents(t, s.Client, layout, "a")
				b := open(t, s.URL(), nil)
				sessions := readAll(t, b)
				if layout == registry.Fields {
					// Fields that no property names are entries of their own.
					sessions = slices.DeleteFunc(sessions, func(s registry.Session) bool { return s.Layout != registry.Fields })
				}
				if len(sessions) != 1 || sessions[0].Foreign != tt.foreign {
					t.Fatalf("read %+v", sessions)
				}
				if owns := sessions[0].HasStream; owns != (name == "streamName" || name == "a stream that is listed") {
					t.Errorf("it names %q", sessions[0].Stream)
				}
				removed, err := expire(t.Context(), b, sessions)
				if err != nil || removed[0] == tt.foreign {
					t.Errorf("removed %v, %v", removed, err)
				}
				if after := contents(t, s.Client, layout, "a"); tt.foreign && fmt.Sprint(after) != fmt.Sprint(before) {
					t.Errorf("%v became %v", before, after)
				}
				judging := open(t, s.URL(), func(o *Options) { o.JudgeForeign = true })
				for _, session := range readAll(t, judging) {
					if session.Foreign {
						t.Errorf("%+v is foreign where all are judged", session)
					}
				}
			})
		}
	}
}

func TestOneValueBelongsToOneLayout(t *testing.T) {
	t.Parallel()
	now := time.Now()
	stale, fresh := now.Add(-72*time.Hour).UnixMilli(), now.UnixMilli()
	entry := func(ms int64) string { return objectEntry("s", ms) }
	for name, tt := range map[string]struct {
		write map[string]any
		// stay are the fields that must be there after all stale sessions went.
		stay []string
	}{
		"a Session JSON without an identity and with a time of its own": {
			map[string]any{"x:json": fmt.Sprintf(`{"state":"open","updated":%d}`, stale), "x:lastUpdated": fresh, "x:streamName": "s"},
			[]string{"x:json", "x:lastUpdated", "x:streamName"},
		},
		"a Session JSON that looks like an entry all over": {
			map[string]any{"x:json": entry(stale), "x:lastUpdated": fresh, "x:streamName": "s"},
			[]string{"x:json", "x:lastUpdated", "x:streamName"},
		},
		"live entries where a stale session's properties would be": {
			map[string]any{
				"x:lastUpdated": stale, "x:streamName": "s", "x:tEnd": entry(fresh), "x:streamPosition": entry(fresh), "x:tStart": entry(fresh),
				"x:json": entry(fresh), "x:streamSessionId": "7", "x:updated": entry(fresh),
			},
			[]string{"x:json", "x:streamPosition", "x:tEnd", "x:tStart", "x:updated"},
		},
		"a live entry where the stream's name would be": {
			map[string]any{"x:lastUpdated": stale, "x:streamName": entry(fresh), "x:streamSessionId": "7"},
			[]string{"x:streamName"},
		},
		"unreadable entries there": {
			map[string]any{"x:lastUpdated": stale, "x:streamName": "s", "x:tEnd": `{"streamName":NaN}`, "x:json": "\xef\xbb\xbf" + entry(fresh), "x:tStart": `[{"streamName":"s"}]`},
			[]string{"x:json", "x:tEnd", "x:tStart"},
		},
		"stale entries whose identities end so": {
			map[string]any{"x:json": entry(stale), "y:tStart": entry(stale), "z:streamPosition": entry(stale), "v:streamName": entry(stale)},
			nil,
		},
		"a stale session with all properties": {
			map[string]any{
				"x:lastUpdated": stale, "x:updated": stale, "x:streamName": "s", "x:json": `{"identity":"x","state":2,"tStart":1,"json":{}}`,
				"x:tStart": 1, "x:tEnd": 2, "x:streamPosition": "0-0", "x:streamSessionId": 7,
			},
			nil,
		},
		"a property that nobody knows": {
			map[string]any{
				"x:lastUpdated": stale, "x:streamName": "s", "x:state": "open", "y:lastUpdated": fresh, "y:streamName": "s", "y:state": "open",
				"z:state": "a web application's", "x:a:state": "1", "x:a:lastUpdated": fresh, "x:a:streamName": "s",
			},
			[]string{"x:a:lastUpdated", "x:a:state", "x:a:streamName", "y:lastUpdated", "y:state", "y:streamName", "z:state"},
		},
		"unreadable entries in another encoding there": {
			map[string]any{
				"x:lastUpdated": stale, "x:streamName": "s", "x:state": "\xaastreamName\xa1t", "x:tEnd": "\xaastreamName\xa1t", "x:json": "<streamName>t</streamName>",
				"y:lastUpdated": fresh, "y:streamName": "s", "y:state": "open",
			},
			[]string{"x:json", "x:state", "x:tEnd", "y:lastUpdated", "y:state", "y:streamName"},
		},
		"a stream whose name is such a word": {
			map[string]any{"x:lastUpdated": stale, "x:streamName": "my streamName", "x:tEnd": 1}, nil,
		},
		"an entry where such a property would be": {
			map[string]any{"x:lastUpdated": stale, "x:streamName": "s", "y:lastUpdated": fresh, "y:streamName": "s", "y:state": "open", "x:state": entry(fresh)},
			[]string{"x:state", "y:lastUpdated", "y:state", "y:streamName"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := redistest.Start(t)
			s.Client.HSet(t.Context(), "sessions", tt.write)
			b := open(t, s.URL(), nil)
			// As a run does: one scan decides, another acts; and the next run.
			for range 2 {
				_ = readAll(t, b)
				old := slices.DeleteFunc(readAll(t, b), func(s registry.Session) bool { return s.Updated.UnixMilli() != stale })
				if _, err := expire(t.Context(), b, old); err != nil {
					t.Fatal(err)
				}
			}
			left := s.Client.HKeys(t.Context(), "sessions").Val()
			slices.Sort(left)
			if !slices.Equal(left, tt.stay) {
				t.Errorf("left are %q, want %q", left, tt.stay)
			}
		})
	}
}

// A session of another layout may come, between reading and deleting, to where a
// stale session's property lies.
func TestAnEntryThatComesWhereAStalePropertyLiesIsNeverLost(t *testing.T) {
	const sessions, chunk = 3000, 100
	s := redistest.Start(t)
	b := open(t, s.URL(), nil)
	places := []string{"streamName", "streamSessionId", "streamPosition", "lastUpdated", "updated", "json", "tStart", "tEnd", "own"}
	pipe := s.Client.Pipeline()
	for i := range sessions {
		x := fmt.Sprint("x", i)
		json := `{"identity":"x","state":2}`
		if i%2 == 1 {
			json = `{"identity":"x","state":2,"streamName":"s","tStart":1}` // has to be looked at
		}
		pipe.HSet(t.Context(), "sessions", x+":lastUpdated", five, x+":updated", five, x+":streamName", "s", x+":streamSessionId", 7,
			x+":streamPosition", "0-0", x+":json", json, x+":tStart", 1, x+":tEnd", 2, x+":own", "1")
		if i%1000 == 999 {
			if _, err := pipe.Exec(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
	_ = readAll(t, b) // learns the property that nobody knows
	stale := slices.DeleteFunc(readAll(t, b), func(s registry.Session) bool { return s.Layout != registry.Fields })
	if len(stale) != sessions {
		t.Fatalf("%d sessions were read", len(stale))
	}
	entries := make(map[string]string)
	for i, session := range stale {
		entries[session.Identity+":"+places[i%len(places)]] = objectEntry("t", five+int64(i))
	}
	written := make(chan int, 1)
	var wg sync.WaitGroup
	wg.Go(func() {
		defer close(written)
		for from := 0; from < sessions; from += chunk / 2 {
			pipe := s.Client.Pipeline()
			for i := from; i < from+chunk/2; i++ {
				field := stale[i].Identity + ":" + places[i%len(places)]
				pipe.HSet(t.Context(), "sessions", field, entries[field])
			}
			if _, err := pipe.Exec(t.Context()); err != nil {
				t.Error(err)
				return
			}
			written <- from + chunk/2
		}
	})
	removed, refused := 0, 0
	for from := 0; from < sessions; from += chunk {
		// Half of the chunk has come by now, the rest meanwhile.
		for done, ok := 0, true; ok && done < from+chunk/2; {
			done, ok = <-written
		}
		gone, err := expire(t.Context(), b, stale[from:from+chunk])
		if err != nil {
			t.Fatal(err)
		}
		for _, yes := range gone {
			if yes {
				removed++
			} else {
				refused++
			}
		}
	}
	for range written {
	}
	wg.Wait()
	if removed == 0 || refused == 0 {
		t.Errorf("%d removed, %d refused: they did not meet", removed, refused)
	}
	all := s.Client.HGetAll(t.Context(), "sessions").Val()
	lost := 0
	for field, want := range entries {
		if all[field] != want {
			lost++
			t.Logf("%s holds %q", field, all[field])
		}
	}
	if lost > 0 {
		t.Errorf("%d of %d entries are gone", lost, len(entries))
	}
}

func TestAPropertyThatNobodyKnowsIsNoEntryOfItsOwn(t *testing.T) {
	s := redistest.Start(t)
	s.Client.HSet(t.Context(), "sessions", "x:lastUpdated", five, "x:streamName", "s", "x:state", "open",
		"y:lastUpdated", five, "y:streamName", "s", "y:state", "open", "web:state", "a web application's", "web", "x")
	for _, judge := range []bool{false, true} {
		b := open(t, s.URL(), func(o *Options) { o.JudgeForeign = judge })
		_ = readAll(t, b)
		var got []string
		for _, session := range readAll(t, b) {
			got = append(got, fmt.Sprint(session.Identity, " ", session.Layout))
		}
		slices.Sort(got)
		if want := []string{"web object", "web:state object", "x fields", "y fields"}; !slices.Equal(got, want) {
			t.Errorf("read %q, want %q", got, want)
		}
	}
}

func TestAnEntryIsNotMarkedInPlaceOfASessionJSON(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	ctx := t.Context()
	s.Client.HSet(ctx, "sessions", "x:lastUpdated", five, "x:streamName", "s", "x:json", objectEntry("s", five))
	b := open(t, s.URL(), nil)
	for _, session := range readAll(t, b) {
		if session.Layout != registry.Fields {
			continue
		}
		if jsons, err := b.SessionJSONs(ctx, []registry.Session{session}); err != nil || jsons[0] != "" {
			t.Errorf("%q, %v", jsons, err)
		}
	}
}

func TestAPropertyThatCameBackKeepsWhatLooksLikeAnEntry(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	ctx := t.Context()
	s.Client.HSet(ctx, "sessions", "x:json", objectEntry("s", five))
	b := open(t, s.URL(), nil)
	sessions := readAll(t, b)
	s.Client.HSet(ctx, "sessions", "x:lastUpdated", five+1)
	if removed, err := expire(ctx, b, sessions); err != nil || removed[0] {
		t.Errorf("removed %v, %v", removed, err)
	}
}

func TestAKeyOfAnotherTypeAtSessionsLeavesTheRestToBeRead(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	ctx := t.Context()
	s.Client.Set(ctx, "sessions", "no Hash", 0)
	writeSession(ctx, s.Client, registry.Keys, "a", "s", five)
	b := open(t, s.URL(), nil)
	var u registry.MalformedOwners
	for _, session := range readAll(t, b) {
		u.Add(&session)
	}
	if session := sessionOf(t, b, "a"); session.Malformed != nil {
		t.Errorf("read %+v", session)
	}
	if !u.Blind() {
		t.Error("a stream could be retired that the Hash named")
	}
}
