package buffer

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/streamkeeper/streamkeeper/internal/redisconn"
	"github.com/streamkeeper/streamkeeper/internal/redistest"
)

// pretend has a server say that it is another, and lack what that one lacks.
func pretend(t *testing.T, s *redistest.Server, name, version string, lacks ...string) (url string, sent func(word string) bool) {
	t.Helper()
	p := redistest.StartProxy(t, s.Addr)
	var mu sync.Mutex
	seen := make(map[string]bool)
	p.Set(func(command []string) redistest.Fault {
		word := strings.ToLower(command[0])
		mu.Lock()
		for _, w := range command {
			seen[strings.ToLower(w)] = true
		}
		mu.Unlock()
		if word == "hello" {
			return redistest.Fault{Rewrite: func(answer []byte) []byte {
				answer = bytes.Replace(answer, []byte("$6\r\n7.0.15\r\n"), fmt.Appendf(nil, "$%d\r\n%s\r\n", len(version), version), 1)
				return bytes.Replace(answer, []byte("$5\r\nredis\r\n"), fmt.Appendf(nil, "$%d\r\n%s\r\n", len(name), name), 1)
			}}
		}
		if slices.Contains(lacks, word) {
			return redistest.Fault{Reply: "ERR unknown command `" + word + "`, with args beginning with: "}
		}
		return redistest.Fault{}
	})
	return p.URL(), func(word string) bool {
		mu.Lock()
		defer mu.Unlock()
		return seen[word]
	}
}

func TestAServerThatIsTooOldIsRefusedByName(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	for _, version := range []string{"6.0.16", "5.0.14", "2.8.0"} {
		url, _ := pretend(t, s, "redis", version)
		_, err := Open(t.Context(), Options{Connection: redisconn.Connection{URL: url}})
		if !errors.Is(err, redisconn.ErrTooOld) || !strings.Contains(err.Error(), version) || !strings.Contains(err.Error(), redisconn.MinVersion) {
			t.Errorf("%s: %v", version, err)
		}
	}
}

func TestEachVersionIsAskedOnlyWhatItKnows(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	ctx := t.Context()
	s.Client.SAdd(ctx, "streams", "a")
	for _, c := range []struct {
		name, version string
		lacks         []string
		readScripts   bool
	}{
		{"redis", "6.2.0", []string{"eval_ro", "evalsha_ro"}, false},
		{"redis", "6.2.14", []string{"eval_ro", "evalsha_ro"}, false},
		{"redis", "7.0.0", nil, true},
		{"redis", "7.2.4", nil, true},
		{"redis", "7.4.1", nil, true},
		{"redis", "8.2.0", nil, true},
		{"valkey", "8.0.1", nil, true},
		{"valkey", "10.0.0", nil, true},
	} {
		t.Run(c.name+" "+c.version, func(t *testing.T) {
			url, sent := pretend(t, s, c.name, c.version, c.lacks...)
			b := openAs(t, redisconn.Connection{URL: url}, func(o *Options) { o.ReadOnly = true })
			if got := b.Server(); got.Name != c.name || got.Version != c.version {
				t.Errorf("it is %+v", got)
			}
			infos, err := b.Infos(ctx, []string{"a"})
			if err != nil || infos[0].Err != nil {
				t.Errorf("%+v, %v", infos, err)
			}
			if err := b.SetLeft(ctx, StateFields{"a": 1}); !errors.Is(err, redisconn.ErrReadOnly) {
				t.Errorf("a write: %v", err)
			}
			if sent("evalsha_ro") != c.readScripts {
				t.Errorf("EVALSHA_RO was sent: %t", !c.readScripts)
			}
		})
	}
}

func TestMinIDIsNotSentToAServerOnWhichItOvershoots(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	ctx := t.Context()
	limit := time.Now().Add(-time.Hour)
	for version, want := range map[string]bool{"6.2.0": false, "6.2.6": false, "6.2.7": true, "7.0.15": true} {
		for what, call := range map[string]TrimRequest{
			"by age":         {Stream: "a", Before: TimeID(limit), Limit: 1000},
			"behind a group": {Stream: "a", MaxLen: 10, Groups: &GroupLimits{IdleAfter: time.Hour}, Limit: 1000},
		} {
			t.Run(version+" "+what, func(t *testing.T) {
				s.Client.FlushAll(ctx)
				// Ids that are months apart share a macro node.
				s.Client.XAdd(ctx, &redis.XAddArgs{Stream: "stream:a", ID: "10-1", Values: []any{"id", 1}})
				for i := range 150 {
					s.Client.XAdd(ctx, &redis.XAddArgs{Stream: "stream:a", ID: fmt.Sprintf("%d-0", limit.UnixMilli()-100+int64(i)), Values: []any{"id", 1}})
				}
				s.Client.XGroupCreate(ctx, "stream:a", "storage", fmt.Sprintf("%d-0", limit.UnixMilli()-1))
				s.Client.XGroupCreateConsumer(ctx, "stream:a", "storage", "c")
				url, sent := pretend(t, s, "redis", version)
				b := openAs(t, redisconn.Connection{URL: url})
				out, err := b.Trims(ctx, []TrimRequest{call})
				if err != nil || out[0].Err != nil {
					t.Fatal(err, out)
				}
				// Without it a script's text is sent, which holds the word as well.
				if got := sent("minid"); call.Groups == nil && got != want {
					t.Errorf("MINID was sent: %t", got)
				}
				if n := s.Client.XLen(ctx, "stream:a").Val(); n < 50 || !want && n != 50 {
					t.Errorf("%d entries are left, and 50 are to stay", n)
				}
			})
		}
	}
}

func TestWhatMayBeDeniedCostsAFeatureAndCountsAsNoError(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	ctx := t.Context()
	words, _ := Uses{Job: true, Trim: true, Cleanup: true, Serve: true, Names: DefaultNames}.Rule()
	args := []any{"ACL", "SETUSER", "keeper", "on", ">secret"}
	for _, word := range words {
		if word != "+info" && word != "+config|get" {
			args = append(args, word)
		}
	}
	if err := s.Client.Do(ctx, args...).Err(); err != nil {
		t.Fatal(err)
	}
	var seen []redisconn.Class
	b := openAs(t, redisconn.Connection{URL: s.URL(), Username: "keeper", Password: "secret"}, func(o *Options) {
		o.OnError = func(class redisconn.Class) { seen = append(seen, class) }
	})
	if limits := b.NodeLimits(ctx); limits != DefaultNodeLimits {
		t.Errorf("the limits are %+v", limits)
	}
	if _, _, err := b.Memory(ctx); redisconn.ClassOf(err) != redisconn.ClassAuth || !strings.Contains(err.Error(), "+info") {
		t.Errorf("the memory: %v", err)
	}
	if len(seen) > 0 {
		t.Errorf("errors were counted: %q", seen)
	}
	if _, err := b.rdb.Do(ctx, "SMEMBERS", "streams").Result(); redisconn.ClassOf(err) != redisconn.ClassAuth || !slices.Equal(seen, []redisconn.Class{redisconn.ClassAuth}) {
		t.Errorf("%v, counted %q", err, seen)
	}
}
