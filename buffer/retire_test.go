package buffer

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/streamkeeper/streamkeeper/buffer/registry"
	"github.com/streamkeeper/streamkeeper/internal/redisconn"
	"github.com/streamkeeper/streamkeeper/internal/redistest"
)

// retireAfter is the age past which the streams of these tests are dead.
const retireAfter = 24 * time.Hour

// deadID is the last id of a stream that has been dead for long.
var deadID = ID{Ms: 1600000000000, Seq: 5}

func makeDead(t *testing.T, rdb *redis.Client, name string) {
	t.Helper()
	ctx := t.Context()
	rdb.SAdd(ctx, "streams", name)
	if err := rdb.XAdd(ctx, &redis.XAddArgs{Stream: "stream:" + name, ID: deadID.String(), Values: []any{"id", 1, "data", "old"}}).Err(); err != nil {
		t.Fatal(err)
	}
}

// state is where a stream stands, as the test sees it.
type state struct{ key, listed, remembered bool }

func stateOf(t *testing.T, rdb *redis.Client, name string) state {
	t.Helper()
	ctx := t.Context()
	return state{
		key:        rdb.Exists(ctx, "stream:"+name).Val() == 1,
		listed:     rdb.SIsMember(ctx, "streams", name).Val(),
		remembered: rdb.ZScore(ctx, "streamkeeper:retired", name).Err() == nil,
	}
}

func TestRetireTakesAwayKeyAndNameAndRemembers(t *testing.T) {
	t.Parallel()
	eachServer(t, func(t *testing.T, url string, rdb *redis.Client) {
		b := open(t, url, nil)
		for _, name := range oddNames {
			makeDead(t, rdb, name)
			end, err := b.Retire(t.Context(), name, deadID, GroupLimits{IdleAfter: retireAfter})
			if err != nil || end != Retired {
				t.Errorf("%q ends %v, %v", name, end, err)
			}
			if got := stateOf(t, rdb, name); got != (state{remembered: true}) {
				t.Errorf("%q: %+v", name, got)
			}
		}
	})
}

func TestRetireKeepsWhatChangedSinceItWasJudged(t *testing.T) {
	t.Parallel()
	eachServer(t, func(t *testing.T, url string, rdb *redis.Client) {
		ctx := t.Context()
		b := open(t, url, nil)
		for name, change := range map[string]func(){
			"an entry": func() {
				rdb.XAdd(ctx, &redis.XAddArgs{Stream: "stream:x", Values: []any{"id", 1}})
			},
			"an entry, trimmed away": func() {
				rdb.XAdd(ctx, &redis.XAddArgs{Stream: "stream:x", Values: []any{"id", 1}})
				rdb.XTrimMaxLen(ctx, "stream:x", 0)
			},
			"a reader": func() {
				rdb.XGroupCreate(ctx, "stream:x", "g", "0")
				rdb.XReadGroup(ctx, &redis.XReadGroupArgs{Group: "g", Consumer: "c", Streams: []string{"stream:x", ">"}, Count: 1})
			},
			"a group without consumers": func() {
				rdb.XGroupCreate(ctx, "stream:x", "g", "0")
			},
			"another type": func() {
				rdb.Del(ctx, "stream:x")
				rdb.Set(ctx, "stream:x", "taken", 0)
			},
		} {
			t.Run(name, func(t *testing.T) {
				rdb.FlushAll(ctx)
				makeDead(t, rdb, "x")
				change()
				end, err := b.Retire(ctx, "x", deadID, GroupLimits{IdleAfter: retireAfter})
				if err != nil || end != Kept {
					t.Errorf("ends %v, %v", end, err)
				}
				if got := stateOf(t, rdb, "x"); got != (state{key: true, listed: true}) {
					t.Errorf("%+v", got)
				}
			})
		}
	})
}

func TestRetireRefusesAGroupWithoutConsumersThatItDoesNotKnow(t *testing.T) {
	redistest.EachVersion(t, func(t *testing.T, start redistest.StartFunc) {
		t.Parallel()
		s := start(t)
		b := open(t, s.URL(), nil)
		makeDead(t, s.Client, "x")
		odd := "g\xff :*"
		for _, group := range []string{"g", odd} {
			s.Client.XGroupCreate(t.Context(), "stream:x", group, "0")
		}
		infos, err := b.Infos(t.Context(), []string{"x"})
		if err != nil || !slices.Equal(infos[0].WithoutConsumers, []string{"g", odd}) {
			t.Fatalf("%+v, %v", infos, err)
		}
		for _, c := range []struct {
			known []string
			want  Retirement
		}{{nil, Kept}, {[]string{"g", "h"}, Kept}, {[]string{odd, "g"}, Retired}} {
			end, err := b.Retire(t.Context(), "x", deadID, GroupLimits{IdleAfter: retireAfter, Ignore: c.known})
			if err != nil || end != c.want {
				t.Errorf("known %q: ends %v, %v, want %v", c.known, end, err, c.want)
			}
		}
	})
}

func TestANameThatAnotherKeeperNotedStaysRemembered(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	ctx := t.Context()
	b := open(t, s.URL(), nil)
	// The other one retired the stream between our look and our attempt, and a
	// producer made it anew: nobody lists it unless it stays remembered.
	s.Client.XAdd(ctx, &redis.XAddArgs{Stream: "stream:x", Values: []any{"id", 1}})
	s.Client.ZAdd(ctx, "streamkeeper:retired", redis.Z{Score: 1600000000000, Member: "x"})
	if end, err := b.Retire(ctx, "x", deadID, GroupLimits{IdleAfter: retireAfter}); err != nil || end != Kept {
		t.Errorf("ends %v, %v", end, err)
	}
	if end, err := b.DropName(ctx, "x"); err != nil || end != Kept {
		t.Errorf("ends %v, %v", end, err)
	}
	if got := stateOf(t, s.Client, "x"); got != (state{key: true, remembered: true}) {
		t.Errorf("%+v", got)
	}
}

func TestRestoreKeepsTheNoteFromNowOnAndForgetMinds(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	ctx := t.Context()
	b := open(t, s.URL(), nil)
	retired := time.UnixMilli(1600000000000)
	s.Client.ZAdd(ctx, "streamkeeper:retired", redis.Z{Score: float64(retired.UnixMilli()), Member: "x"})
	if err := b.Restore(ctx, "x"); err != nil {
		t.Fatal(err)
	}
	noted := time.UnixMilli(int64(s.Client.ZScore(ctx, "streamkeeper:retired", "x").Val()))
	if ago := time.Since(noted); ago < -time.Minute || ago > time.Minute {
		t.Errorf("it is noted as of %s", noted)
	}
	// What another instance notes stays.
	if err := b.Forget(ctx, Return{"x", retired}); err != nil {
		t.Fatal(err)
	}
	if got := stateOf(t, s.Client, "x"); got != (state{listed: true, remembered: true}) {
		t.Errorf("%+v", got)
	}
	if err := b.Forget(ctx, Return{"x", noted}); err != nil {
		t.Fatal(err)
	}
	if err := b.Restore(ctx, "x"); err != nil {
		t.Fatal(err)
	}
	if got := stateOf(t, s.Client, "x"); got != (state{listed: true}) {
		t.Errorf("%+v", got)
	}
}

// steps are the calls of a retirement, as go-redis names them: remember, look
// and UNLINK, SREM, EXISTS.
var steps = []struct {
	command string
	nth     int
}{{"evalsha", 1}, {"evalsha", 2}, {"srem", 1}, {"type", 1}}

// warm has the server know the scripts, so that each step is one call.
func warm(t *testing.T, s *redistest.Server) {
	t.Helper()
	for _, script := range []redisconn.Script{rememberScript, unlinkScript, forgetScript} {
		if err := s.Client.ScriptLoad(t.Context(), script.Source()).Err(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestWhateverComesBetweenTheStepsOfRetiringStays(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	warm(t, s)
	ctx := t.Context()
	xadd := func() {
		s.Client.XAdd(ctx, &redis.XAddArgs{Stream: "stream:x", Values: []any{"id", 2, "data", "fresh"}})
	}
	sadd := func() { s.Client.SAdd(ctx, "streams", "x") }
	for name, event := range map[string]func(){
		"XADD": xadd, "SADD and XADD": func() { sadd(); xadd() }, "XADD and SADD": func() { xadd(); sadd() },
	} {
		for _, step := range append(slices.Clone(steps), struct {
			command string
			nth     int
		}{"", 0}) {
			s.Client.FlushAll(ctx)
			makeDead(t, s.Client, "x")
			b := open(t, s.URL(), nil)
			hook := &breaking{name: step.command, nth: step.nth, before: event}
			b.rdb.AddHook(hook)
			if _, err := b.Retire(ctx, "x", deadID, GroupLimits{IdleAfter: retireAfter}); err != nil {
				t.Fatal(err)
			}
			if step.command == "" {
				event()
			}
			// The next run restores what came back.
			if err := b.Returned(ctx, func(back []Return) error { return b.Restore(ctx, back[0].Stream) }); err != nil {
				t.Fatal(err)
			}
			got := stateOf(t, s.Client, "x")
			entries := s.Client.XRange(ctx, "stream:x", "-", "+").Val()
			if !got.key || !got.listed || len(entries) == 0 || entries[len(entries)-1].Values["data"] != "fresh" {
				t.Errorf("%s before %s %d: %+v, %v", name, step.command, step.nth, got, entries)
			}
		}
	}
}

func TestBrokenOffAtAnyStepRetiringEndsWellLater(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	warm(t, s)
	ctx := t.Context()
	dead := errors.New("killed")
	for _, step := range steps {
		s.Client.FlushAll(ctx)
		makeDead(t, s.Client, "x")
		b := open(t, s.URL(), nil)
		b.rdb.AddHook(&breaking{name: step.command, nth: step.nth, err: dead})
		if _, err := b.Retire(ctx, "x", deadID, GroupLimits{IdleAfter: retireAfter}); !errors.Is(err, dead) {
			t.Fatalf("%s %d: %v", step.command, step.nth, err)
		}
		// Whatever was done so far, the name is listed or remembered, and so a
		// producer that comes back is found.
		got := stateOf(t, s.Client, "x")
		if !got.listed && !got.remembered {
			t.Errorf("%s %d: %+v", step.command, step.nth, got)
		}
		b = open(t, s.URL(), nil)
		var end Retirement
		var err error
		switch {
		case got.key:
			end, err = b.Retire(ctx, "x", deadID, GroupLimits{IdleAfter: retireAfter})
		case got.listed:
			end, err = b.DropName(ctx, "x")
		default:
			end = Retired
		}
		if got := stateOf(t, s.Client, "x"); err != nil || end != Retired || got != (state{remembered: true}) {
			t.Errorf("%s %d: ends %v, %v, %+v", step.command, step.nth, end, err, got)
		}
	}
}

func TestDropNameKeepsTheNameOfAStreamThatIsBack(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	ctx := t.Context()
	xadd := func() { s.Client.XAdd(ctx, &redis.XAddArgs{Stream: "stream:x", Values: []any{"id", 1}}) }
	for _, tt := range []struct {
		when string
		nth  int
		end  Retirement
	}{{"type", 1, Kept}, {"srem", 1, CameBack}, {"type", 2, CameBack}} {
		s.Client.FlushAll(ctx)
		s.Client.SAdd(ctx, "streams", "x")
		b := open(t, s.URL(), nil)
		b.rdb.AddHook(&breaking{name: tt.when, nth: tt.nth, before: xadd})
		end, err := b.DropName(ctx, "x")
		want := state{key: true, listed: true, remembered: tt.end == CameBack}
		if got := stateOf(t, s.Client, "x"); err != nil || end != tt.end || got != want {
			t.Errorf("before %s %d: ends %v, %v, %+v", tt.when, tt.nth, end, err, got)
		}
	}
	s.Client.FlushAll(ctx)
	s.Client.SAdd(ctx, "streams", "x")
	b := open(t, s.URL(), nil)
	end, err := b.DropName(ctx, "x")
	if got := stateOf(t, s.Client, "x"); err != nil || end != Retired || got != (state{remembered: true}) {
		t.Errorf("ends %v, %v, %+v", end, err, got)
	}
}

// fill takes all the memory that the server may use.
func fill(t *testing.T, s *redistest.Server) {
	t.Helper()
	if err := s.Client.ConfigSet(t.Context(), "maxmemory", "1").Err(); err != nil {
		t.Fatal(err)
	}
	if err := s.Client.Set(t.Context(), "one more", "x", 0).Err(); redisconn.ClassOf(err) != redisconn.ClassOOM {
		t.Fatalf("the server still takes writes: %v", err)
	}
}

func TestOutOfMemoryTheKeyGoesAndTheNameStays(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	ctx := t.Context()
	makeDead(t, s.Client, "x")
	makeDead(t, s.Client, "busy")
	s.Client.SAdd(ctx, "streams", "no key")
	for _, layout := range registry.Layouts() {
		writeSession(ctx, s.Client, layout, string(layout), "s", five)
	}
	b := open(t, s.URL(), nil)
	sessions := readAll(t, b)
	fill(t, s)
	if end, err := b.Retire(ctx, "x", deadID, GroupLimits{IdleAfter: retireAfter}); err != nil || end != RetiredListed {
		t.Errorf("ends %v, %v", end, err)
	}
	if got := stateOf(t, s.Client, "x"); got != (state{listed: true}) {
		t.Errorf("%+v", got)
	}
	if end, err := b.Retire(ctx, "busy", ID{Ms: 1}, GroupLimits{IdleAfter: retireAfter}); err != nil || end != Kept {
		t.Errorf("ends %v, %v", end, err)
	}
	if got := stateOf(t, s.Client, "busy"); got != (state{key: true, listed: true}) {
		t.Errorf("%+v", got)
	}
	if end, err := b.DropName(ctx, "no key"); err != nil || end != Kept {
		t.Errorf("ends %v, %v", end, err)
	}
	if removed, err := expire(ctx, b, sessions); err != nil || len(removed) != len(registry.Layouts()) || slices.Contains(removed, false) {
		t.Errorf("expired %v, %v", removed, err)
	}
}
