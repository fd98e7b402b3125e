package demo

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"go.uber.org/goleak"

	"github.com/streamkeeper/streamkeeper/buffer"
	"github.com/streamkeeper/streamkeeper/buffer/registry"
	"github.com/streamkeeper/streamkeeper/burst"
	"github.com/streamkeeper/streamkeeper/internal/redisconn"
	"github.com/streamkeeper/streamkeeper/internal/redistest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// onBoth runs a test on the embedded Redis and on a real one.
func onBoth(t *testing.T, test func(t *testing.T, url string)) {
	t.Run("on the embedded Redis", func(t *testing.T) {
		r, err := StartRedis(FreeAddress)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(r.Close)
		test(t, r.URL())
	})
	t.Run("on a real Redis", func(t *testing.T) { test(t, redistest.Start(t).URL()) })
}

func dial(t *testing.T, url string) redis.UniversalClient {
	t.Helper()
	client, err := redisconn.Connection{URL: url}.Client()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	return client
}

func openBuffer(t *testing.T, url string) *buffer.Buffer {
	t.Helper()
	b, err := buffer.Open(t.Context(), buffer.Options{Connection: redisconn.Connection{URL: url}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	return b
}

func sessionsOf(t *testing.T, b *buffer.Buffer) map[string]registry.Session {
	t.Helper()
	sessions := make(map[string]registry.Session)
	if err := b.WalkSessions(t.Context(), func(page []registry.Session) error {
		for _, s := range page {
			sessions[s.Identity] = s
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return sessions
}

func TestASeededBufferHasThePastThatTheDemoNeeds(t *testing.T) {
	onBoth(t, func(t *testing.T, url string) {
		client, b := dial(t, url), openBuffer(t, url)
		cast := Cast()
		for i := range cast {
			cast[i].Size = 1 << 10 // when messages were written is what matters, and not what is in them
		}
		if err := NewProducers(client, Options{Cast: cast}).Seed(t.Context()); err != nil {
			t.Fatal(err)
		}
		now, err := b.Now(t.Context())
		if err != nil {
			t.Fatal(err)
		}

		want := []string{deadStream}
		for _, role := range Cast() {
			want = append(want, role.Name)
			if role.Past == 0 {
				continue
			}
			n, err := client.XLen(t.Context(), "stream:"+role.Name).Result()
			if err != nil || n != int64(role.Past/Interval) || n <= MaxLength {
				t.Errorf("%q has %d entries (%v), want those of %s and more than %d", role.Name, n, err, role.Past, MaxLength)
			}
		}
		listed, err := client.SMembers(t.Context(), "streams").Result()
		if err != nil {
			t.Fatal(err)
		}
		slices.Sort(listed)
		slices.Sort(want)
		if !slices.Equal(listed, want) {
			t.Errorf("streams holds %q, want %q", listed, want)
		}

		infos, err := b.Infos(t.Context(), []string{deadStream})
		if err != nil {
			t.Fatal(err)
		}
		if age := now.Sub(infos[0].LastID.Time()); !infos[0].LastID.IsTime(now) || age < retireAfter {
			t.Errorf("the dead stream ends at %s, %s ago", infos[0].LastID, age)
		}
		sessions := sessionsOf(t, b)
		if s := sessions[staleSession]; s.Malformed != nil || now.Sub(s.Updated) < expireAfter || s.Stream != Cast()[0].Name {
			t.Errorf("the stale session is %+v", s)
		}
		for _, s := range sessions {
			if s.Stream == deadStream {
				t.Errorf("%q names the dead stream", s.Identity)
			}
		}
	})
}

func TestTheRegistryIsReadableInEveryLayout(t *testing.T) {
	onBoth(t, func(t *testing.T, url string) {
		client, b := dial(t, url), openBuffer(t, url)
		p := NewProducers(client, Options{})
		now := time.Now()
		if err := p.open(t.Context(), now, func(Role) time.Duration { return 0 }); err != nil {
			t.Fatal(err)
		}
		for _, s := range p.sessions {
			for n := range announceEvery + 1 {
				if err := s.step(t.Context(), now.Add(time.Duration(n)*Interval)); err != nil {
					t.Fatal(err)
				}
			}
		}
		updated := now.Add(announceEvery * Interval).UnixMilli()

		sessions := sessionsOf(t, b)
		for _, s := range p.sessions {
			got, role := sessions[s.role.Name], s.role
			if got.Layout != role.Layout || got.Stream != role.Name || got.ID == "" {
				t.Errorf("%q is in the registry as %+v", role.Name, got)
			}
			switch {
			case role.Rubbish:
				if !errors.Is(got.Malformed, registry.ErrTimeInvalid) {
					t.Errorf("%q is not malformed: %+v", role.Name, got)
				}
			case got.Malformed != nil || got.Updated.UnixMilli() != updated:
				t.Errorf("%q was updated at %s (%v), want %d", role.Name, got.Updated, got.Malformed, updated)
			}
			first, err := client.XRangeN(t.Context(), "stream:"+role.Name, "-", "+", 1).Result()
			if err != nil || len(first) != 1 {
				t.Fatalf("reading %q: %v", role.Name, err)
			}
			if id, ok := first[0].Values["id"]; ok && id != got.ID {
				t.Errorf("the messages of %q have id %v, its entry %q", role.Name, id, got.ID)
			}
		}
		if len(sessions) != len(p.sessions) {
			t.Errorf("%d sessions, want %d", len(sessions), len(p.sessions))
		}
		if n, err := client.Get(t.Context(), counterKey).Int(); err != nil || n != len(p.sessions) {
			t.Errorf("the counter stands at %d (%v)", n, err)
		}
	})
}

func TestProducersWriteAtNowUntilTheyAreToldToStop(t *testing.T) {
	onBoth(t, func(t *testing.T, url string) {
		client := dial(t, url)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- NewProducers(client, Options{}).Run(ctx) }()

		var checker burst.Checker
		for _, role := range Cast() {
			begun := time.Now()
			reply, err := client.XRead(t.Context(), &redis.XReadArgs{
				Streams: []string{"stream:" + role.Name, "0-0"}, Count: 1, Block: 10 * time.Second,
			}).Result()
			if err != nil {
				t.Fatalf("waiting for %q: %v", role.Name, err)
			}
			message := reply[0].Messages[0]
			id, err := buffer.ParseID(message.ID)
			if err != nil || id.Time().Sub(begun).Abs() > 10*time.Second {
				t.Errorf("the first id of %q is %s (%v)", role.Name, message.ID, err)
			}
			if data, ok := message.Values["data"].(string); !role.Rubbish && ok {
				if result := checker.Check([]byte(data), burst.Auto); result.Verdict != burst.OK {
					t.Errorf("the first message of %q is %s: %v", role.Name, result.Verdict, result.Reasons)
				}
			}
		}
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("a producer that was told to stop says %v", err)
		}
	})
}

func TestProducersRefuseToWriteAmongOthersStreams(t *testing.T) {
	for name, tt := range map[string]struct {
		streams []any
		refused string
	}{
		"an empty buffer is theirs":           {nil, ""},
		"their own streams are theirs":        {[]any{Cast()[0].Name, deadStream}, ""},
		"one foreign name is enough":          {[]any{Cast()[0].Name, "rocket-1"}, "rocket-1"},
		"a foreign name is shown escaped":     {[]any{"a\xff\n"}, `a\xff\x0a`},
		"the prefix must stand at the start":  {[]any{"my demo/car"}, "my demo/car"},
		"the stream without a name is no one": {[]any{""}, "''"},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := StartRedis(FreeAddress)
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			client := dial(t, r.URL())
			if len(tt.streams) > 0 {
				if err := client.SAdd(t.Context(), "streams", tt.streams...).Err(); err != nil {
					t.Fatal(err)
				}
			}
			err = NewProducers(client, Options{}).CheckOurs(t.Context())
			if refused := errors.Is(err, ErrForeign); refused != (tt.refused != "") {
				t.Fatalf("CheckOurs says %v", err)
			}
			if err != nil && !strings.Contains(err.Error(), tt.refused) {
				t.Errorf("%q does not name %s", err, tt.refused)
			}
		})
	}
}

func TestSessionKeysExpireOnTheEmbeddedRedis(t *testing.T) {
	r, err := StartRedis(FreeAddress)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	client := dial(t, r.URL())
	if err := client.Set(t.Context(), "lease", "mine", time.Millisecond).Err(); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(10 * time.Second); client.Exists(t.Context(), "lease").Val() > 0; {
		if time.Now().After(deadline) {
			t.Fatal("a key with a time to live does not end")
		}
	}
}
