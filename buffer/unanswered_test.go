package buffer

import (
	"fmt"
	"net"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/streamkeeper/streamkeeper/buffer/registry"
	"github.com/streamkeeper/streamkeeper/internal/redisconn"
	"github.com/streamkeeper/streamkeeper/internal/redistest"
)

// losing is a buffer over a connection that breaks once, when the server has carried
// out what is named: a command, or a script with this text in it.
type losing struct {
	*Buffer
	rdb *redis.Client
	// sent counts how often it was sent.
	sent *atomic.Int64
}

// eachLosing opens such a buffer for one server, and for a cluster.
func eachLosing(t *testing.T, what string, test func(t *testing.T, b losing)) {
	t.Helper()
	for name, start := range map[string]func(t *testing.T) (*redistest.Server, *redistest.Proxy){
		"one server": func(t *testing.T) (*redistest.Server, *redistest.Proxy) {
			s := redistest.Start(t)
			return s, redistest.StartProxy(t, s.Addr)
		},
		"a cluster": func(t *testing.T) (*redistest.Server, *redistest.Proxy) {
			s := redistest.StartCluster(t, 1, false).Masters[0]
			p := redistest.StartProxy(t, s.Addr)
			_, port, _ := net.SplitHostPort(p.Addr)
			if err := s.Client.ConfigSet(t.Context(), "cluster-announce-port", port).Err(); err != nil {
				t.Fatal(err)
			}
			redistest.Await(t, "the cluster to announce the proxy", func() bool {
				return strings.Contains(fmt.Sprint(s.Client.Do(t.Context(), "CLUSTER", "SLOTS").Val()), " "+port+" ")
			})
			return s, p
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, p := start(t)
			b := losing{openAs(t, redisconn.Connection{URL: p.URL()}), s.Client, new(atomic.Int64)}
			p.Set(func(command []string) redistest.Fault {
				if command[0] != what && (command[0] != "eval" || !strings.Contains(command[1], what)) {
					return redistest.Fault{}
				}
				return redistest.Fault{Lose: b.sent.Add(1) == 1}
			})
			test(t, b)
		})
	}
}

// sentOnce fails unless the command was sent once.
func (b losing) sentOnce(t *testing.T) {
	t.Helper()
	if n := b.sent.Load(); n != 1 {
		t.Errorf("it was sent %d times", n)
	}
}

func TestATrimWithoutReplyIsNotKnown(t *testing.T) {
	t.Parallel()
	for what, call := range map[string]TrimRequest{
		"xtrim": {Stream: "s", MaxLen: 10, Limit: 1000},
		"XTRIM": {Stream: "s", MaxLen: 10, Limit: 1000, Exact: true},
	} {
		eachLosing(t, what, func(t *testing.T, b losing) {
			ids := make([]string, 500)
			for i := range ids {
				ids[i] = fmt.Sprintf("%d-0", i+1)
			}
			redistest.AddEntries(t, b.rdb, "stream:s", ids, func(int) int { return 10 }, "d")
			results, err := b.Trims(t.Context(), []TrimRequest{call})
			if !redisconn.IsLost(err) || len(results) != 1 || !results[0].Unknown || results[0].Err == nil {
				t.Errorf("%+v, %v", results, err)
			}
			if n := b.rdb.XLen(t.Context(), "stream:s").Val(); n > 100 {
				t.Errorf("%d entries are left", n)
			}
			b.sentOnce(t)
		})
	}
}

func TestWhatWasAnsweredBeforeAConnectionBreaksIsKnown(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	p := redistest.StartProxy(t, s.Addr)
	b := openAs(t, redisconn.Connection{URL: p.URL()})
	for _, name := range []string{"a", "b"} {
		redistest.AddEntries(t, s.Client, "stream:"+name, []string{"1-0", "2-0", "3-0"}, func(int) int { return 10 }, "d")
	}
	trim := func(stream string) TrimRequest {
		return TrimRequest{Stream: stream, MaxLen: 1, Limit: 100, Exact: true}
	}
	if _, err := b.Trims(t.Context(), []TrimRequest{trim("none")}); err != nil {
		t.Fatal(err)
	}
	p.Set(func(command []string) redistest.Fault {
		return redistest.Fault{Lose: command[0] == "evalsha" && slices.Contains(command, "stream:b")}
	})
	results, err := b.Trims(t.Context(), []TrimRequest{trim("a"), trim("b"), {Stream: "c", MaxLen: 1, Limit: 100, Exact: true}})
	if err == nil || results[0].Removed != 2 || results[0].Err != nil || results[0].Unknown || !results[1].Unknown {
		t.Errorf("%+v, %v", results, err)
	}
	// Nobody is there any more: nothing is sent.
	p.Down(true)
	results, err = b.Trims(t.Context(), []TrimRequest{trim("a"), {Stream: "b", MaxLen: 1, Limit: 100}})
	if err == nil || results[0].Unknown || results[1].Unknown || results[0].Err == nil || results[1].Err == nil {
		t.Errorf("without a connection: %+v, %v", results, err)
	}
}

func TestAnExpiryWithoutReplyIsNotKnown(t *testing.T) {
	t.Parallel()
	for _, layout := range registry.Layouts() {
		eachLosing(t, "UNCOPIED", func(t *testing.T, b losing) {
			for _, identity := range []string{"a", "b"} {
				writeSession(t.Context(), b.rdb, layout, identity, "s", five)
			}
			ended, err := b.Expire(t.Context(), readAll(t, b.Buffer), copying)
			if err == nil || len(ended) != 2 || !ended[1].Unknown || ended[1].Removed {
				t.Errorf("%s: %+v, %v", layout, ended, err)
			}
			if copies := allCopies(t, b.Buffer); len(copies) == 0 {
				t.Errorf("%s: none was removed", layout)
			}
			if n := b.sent.Load(); n > 2 || !layout.HasOwnKey() && n > 1 {
				t.Errorf("%s: it was sent %d times", layout, n)
			}
		})
	}
}

func TestARetirementWithoutReplyIsNotKnown(t *testing.T) {
	t.Parallel()
	eachLosing(t, "UNLINK", func(t *testing.T, b losing) {
		makeDead(t, b.rdb, "dead")
		if end, err := b.Retire(t.Context(), "dead", deadID, GroupLimits{IdleAfter: retireAfter}); end != NotKnown || err == nil {
			t.Errorf("it ends %d, %v", end, err)
		}
		if got := stateOf(t, b.rdb, "dead"); got.key || !got.remembered {
			t.Errorf("%+v", got)
		}
		b.sentOnce(t)
	})
}

func TestANameThatIsDroppedWithoutReplyIsNotKnown(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	p := redistest.StartProxy(t, s.Addr)
	b := openAs(t, redisconn.Connection{URL: p.URL() + "?max_retries=-1"})
	s.Client.SAdd(t.Context(), "streams", "gone")
	p.Set(func(command []string) redistest.Fault { return redistest.Fault{Lose: command[0] == "srem"} })
	if end, err := b.DropName(t.Context(), "gone"); end != NotKnown || err == nil {
		t.Errorf("it ends %d, %v", end, err)
	}
}

func TestAnUndoWithoutReplyMayBeDone(t *testing.T) {
	t.Parallel()
	for _, layout := range []registry.Layout{registry.Keys, registry.Object} {
		eachLosing(t, "'exists'", func(t *testing.T, b losing) {
			writeSession(t.Context(), b.rdb, layout, "a", "s", five)
			expireAll(t, b.Buffer)
			_, failed, err := b.Undo(t.Context(), allCopies(t, b.Buffer), undoing)
			if err == nil || failed[0] == nil || !strings.Contains(failed[0].Error(), "it may be back") {
				t.Errorf("%s: %v, %v", layout, failed, err)
			}
			if n := len(readAll(t, b.Buffer)); n != 1 {
				t.Errorf("%s: %d sessions are back", layout, n)
			}
			b.sentOnce(t)
		})
		eachLosing(t, "'XDEL', KEYS[2], ARGV[i]", func(t *testing.T, b losing) {
			writeSession(t.Context(), b.rdb, registry.Object, "a", "s", five)
			expireAll(t, b.Buffer)
			if there, err := b.ForgetCopies(t.Context(), "a"); there || err == nil || !strings.Contains(err.Error(), "it may be forgotten") {
				t.Errorf("%v, %v", there, err)
			}
			b.sentOnce(t)
		})
	}
}
