package e2e

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"golang.org/x/sync/errgroup"

	"github.com/streamkeeper/streamkeeper/internal/program"
	"github.com/streamkeeper/streamkeeper/internal/redistest"
)

// faulty is a server with a real fault, which passes.
type faulty struct {
	*redistest.Server
	t *testing.T
	// ids are those of the stream's entries.
	ids []string
}

const (
	faultyLimit  = 100
	faultyStream = "stream:busy"
)

// begin fills the server.
func (d *faulty) begin() {
	d.t.Helper()
	mustDo(d.t, d.Client.SAdd(d.t.Context(), "streams", "busy").Err())
	mustDo(d.t, d.Client.HSet(d.t.Context(), "sessions", "live",
		fmt.Sprintf(`{"streamName":"busy","lastUpdated":%d,"json":"{}"}`, time.Now().UnixMilli())).Err())
	d.write()
}

func (d *faulty) trimmed() bool {
	return d.Client.XLen(d.t.Context(), faultyStream).Val() == faultyLimit
}

// write has a producer write more than the policy keeps.
func (d *faulty) write() {
	d.t.Helper()
	pipe := d.Client.Pipeline()
	for i := range 3 * faultyLimit {
		id := fmt.Sprintf("%d-%d", time.Now().UnixMilli(), len(d.ids)+i)
		pipe.XAdd(d.t.Context(), &redis.XAddArgs{Stream: faultyStream, ID: id, Values: []any{"n", i}})
	}
	cmds, err := pipe.Exec(d.t.Context())
	mustDo(d.t, err)
	for _, cmd := range cmds {
		d.ids = append(d.ids, cmd.(*redis.StringCmd).Val())
	}
}

// whole checks that the newest entries are there, as many as the policy keeps.
func (d *faulty) whole() {
	d.t.Helper()
	entries, err := d.Client.XRevRangeN(d.t.Context(), faultyStream, "+", "-", faultyLimit).Result()
	mustDo(d.t, err)
	for i, e := range entries {
		if e.ID != d.ids[len(d.ids)-1-i] {
			d.t.Fatalf("entry %s is where %s should be", e.ID, d.ids[len(d.ids)-1-i])
		}
	}
	if len(entries) < faultyLimit {
		d.t.Errorf("%d entries are left of %d that are to stay", len(entries), faultyLimit)
	}
	if !d.Client.HExists(d.t.Context(), "sessions", "live").Val() {
		d.t.Error("the live session is gone")
	}
}

func (d *faulty) set(name, value string) {
	d.t.Helper()
	mustDo(d.t, d.Client.ConfigSet(d.t.Context(), name, value).Err())
}

// bare is a connection that takes an error reply for an answer.
func (d *faulty) bare() *redis.Client {
	client := redis.NewClient(&redis.Options{Addr: d.Addr, Protocol: 2, MaxRetries: -1, DisableIdentity: true})
	d.t.Cleanup(func() { _ = client.Close() })
	return client
}

// answers waits until the server's answer to a PING begins so.
func (d *faulty) answers(word string) {
	d.t.Helper()
	client := d.bare()
	redistest.Await(d.t, word, func() bool {
		text, err := client.Ping(d.t.Context()).Result()
		return strings.HasPrefix(text, word) || err != nil && strings.HasPrefix(err.Error(), word)
	})
}

// hangUp ends the connections of everybody else.
func (d *faulty) hangUp() {
	d.t.Helper()
	mustDo(d.t, d.Client.Do(d.t.Context(), "CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes").Err())
}

func (d *faulty) signal(s syscall.Signal) {
	d.t.Helper()
	mustDo(d.t, syscall.Kill(d.PID(), s))
}

func (d *faulty) inPlaceOfSnapshot() string { return filepath.Join(d.Dir(), "dump.rdb", "full") }

// limitFiles bounds the size of the files that the server may write.
func (d *faulty) limitFiles(limit string) {
	d.t.Helper()
	out, err := exec.Command("prlimit", "--pid", strconv.Itoa(d.PID()), "--fsize="+limit+":unlimited").CombinedOutput()
	if err != nil {
		d.t.Fatalf("prlimit: %v: %s", err, out)
	}
}

// serverFault is one fault of a server.
type serverFault struct {
	name string
	// needs is a program of the system, if any, that makes it.
	needs          string
	args           []string
	cause, recover func(d *faulty)
	class          string
	// goesOn: runs do not fail.
	goesOn bool
}

var serverFaults = []serverFault{
	{
		name: "no snapshot can be written",
		args: []string{"--save", "3600 1"},
		cause: func(d *faulty) {
			// A folder in the snapshot's place stops even root.
			mustDo(d.t, os.MkdirAll(d.inPlaceOfSnapshot(), 0o700))
			mustDo(d.t, d.Client.BgSave(d.t.Context()).Err())
			redistest.Await(d.t, "the snapshot to fail", func() bool {
				return strings.HasPrefix(fmt.Sprint(d.Client.Set(d.t.Context(), "x", 1, 0).Err()), "MISCONF")
			})
		},
		recover: func(d *faulty) {
			mustDo(d.t, os.RemoveAll(filepath.Dir(d.inPlaceOfSnapshot())))
			mustDo(d.t, d.Client.BgSave(d.t.Context()).Err())
			redistest.Await(d.t, "a snapshot", func() bool { return d.Client.Set(d.t.Context(), "x", 1, 0).Err() == nil })
		},
		class: "other",
	},
	{
		name:  "the disk is full under the AOF",
		needs: "prlimit",
		args:  []string{"--appendonly", "yes", "--appendfsync", "everysec"},
		cause: func(d *faulty) {
			d.limitFiles("1")
			redistest.Await(d.t, "the AOF to fail", func() bool {
				return strings.HasPrefix(fmt.Sprint(d.Client.Set(d.t.Context(), "x", 1, 0).Err()), "MISCONF")
			})
		},
		recover: func(d *faulty) {
			d.limitFiles("unlimited")
			redistest.Await(d.t, "the AOF", func() bool { return d.Client.Set(d.t.Context(), "x", 1, 0).Err() == nil })
		},
		class: "other",
	},
	{
		name:    "the master became a replica",
		cause:   func(d *faulty) { mustDo(d.t, d.Client.ReplicaOf(d.t.Context(), "127.0.0.1", "1").Err()) },
		recover: func(d *faulty) { mustDo(d.t, d.Client.ReplicaOf(d.t.Context(), "no", "one").Err()) },
		class:   "readonly",
	},
	{
		name: "it is a replica whose master is down",
		args: []string{"--replica-serve-stale-data", "no"},
		cause: func(d *faulty) {
			mustDo(d.t, d.Client.ReplicaOf(d.t.Context(), "127.0.0.1", "1").Err())
			d.answers("MASTERDOWN")
		},
		recover: func(d *faulty) { mustDo(d.t, d.Client.ReplicaOf(d.t.Context(), "no", "one").Err()) },
		class:   "loading",
	},
	{
		name: "it loads its data for a long time",
		args: []string{"--key-load-delay", "3000", "--loading-process-events-interval-bytes", "1024"},
		cause: func(d *faulty) {
			pipe := d.Client.Pipeline()
			for i := range 1000 {
				pipe.Set(d.t.Context(), fmt.Sprint("ballast ", i), strings.Repeat("x", 100), 0)
			}
			_, err := pipe.Exec(d.t.Context())
			mustDo(d.t, err)
			mustDo(d.t, d.Client.Save(d.t.Context()).Err())
			d.Kill()
			mustDo(d.t, d.Run())
			d.answers("LOADING")
		},
		recover: func(d *faulty) { d.answers("PONG") },
		class:   "loading",
	},
	{
		name: "somebody's script runs and runs",
		args: []string{"--busy-reply-threshold", "100"},
		cause: func(d *faulty) {
			other := d.bare()
			go other.Eval(context.WithoutCancel(d.t.Context()), "while true do end", nil)
			d.answers("BUSY")
		},
		recover: func(d *faulty) {
			mustDo(d.t, d.bare().ScriptKill(d.t.Context()).Err())
			d.answers("PONG")
		},
		class: "loading",
	},
	{
		name:    "it answers much too late",
		cause:   func(d *faulty) { d.signal(syscall.SIGSTOP) },
		recover: func(d *faulty) { d.signal(syscall.SIGCONT) },
		class:   "timeout",
	},
	{
		name: "it is gone for a while",
		args: []string{"--appendonly", "yes", "--appendfsync", "always"},
		cause: func(d *faulty) {
			d.Kill()
		},
		recover: func(d *faulty) {
			mustDo(d.t, d.Run())
			d.answers("PONG")
		},
		class: "connection",
	},
	{
		name: "it wants a password that it did not want before",
		cause: func(d *faulty) {
			d.set("requirepass", "new")
			d.hangUp()
		},
		recover: func(d *faulty) { d.set("requirepass", "") },
		class:   "auth",
	},
	{
		name: "there are too many clients",
		cause: func(d *faulty) {
			d.set("maxclients", "1")
			d.hangUp()
		},
		recover: func(d *faulty) { d.set("maxclients", "1000") },
		class:   "connection",
	},
	{
		name:    "it is out of memory",
		cause:   func(d *faulty) { d.set("maxmemory", "1") },
		recover: func(d *faulty) { d.set("maxmemory", "0") },
		class:   "oom", goesOn: true,
	},
	{
		name: "the set of streams is overwritten",
		cause: func(d *faulty) {
			mustDo(d.t, d.Client.Rename(d.t.Context(), "streams", "aside").Err())
			mustDo(d.t, d.Client.Set(d.t.Context(), "streams", "x", 0).Err())
		},
		recover: func(d *faulty) { mustDo(d.t, d.Client.Rename(d.t.Context(), "aside", "streams").Err()) },
		class:   "wrongtype",
	},
}

// What the proxy says in Redis's place elsewhere, a server says itself here.
func TestTheDaemonGetsOverFaultsOfTheServer(t *testing.T) {
	t.Parallel()
	// A file that is too long shall fail the write and not end the server.
	signal.Ignore(syscall.SIGXFSZ)
	t.Cleanup(func() { signal.Reset(syscall.SIGXFSZ) })
	// Most of a case is waiting, so that there may be more of them than
	// processors.
	var side errgroup.Group
	side.SetLimit(6)
	for _, fault := range serverFaults {
		side.Go(func() error {
			t.Run(fault.name, fault.pass)
			return nil
		})
	}
	_ = side.Wait()
}

// pass has a daemon live through a worst fault.
func (fault *serverFault) pass(t *testing.T) {
	if fault.needs != "" {
		needTool(t, fault.needs)
	}
	d := &faulty{Server: redistest.Start(t, fault.args...), t: t}
	d.begin()
	// A lease that outlives a command's timeout, so that runs meet the fault.
	r := program.Start(t, d.URL(), map[string]string{"TRIM_MAX_LENGTH": fmt.Sprint(faultyLimit), "TRIM_EXACT": "true", "LEASE_TTL": "4s"})
	program.Eventually(t, 15*time.Second, "the stream is trimmed", d.trimmed)
	d.write()
	before := redisErrors(t, r)
	fault.cause(d)
	program.Eventually(t, 15*time.Second, "the class is counted", func() bool { return redisErrors(t, r)[fault.class] > before[fault.class] })
	if fault.goesOn {
		program.Eventually(t, 15*time.Second, "the stream is trimmed all the same", d.trimmed)
	} else {
		program.Eventually(t, 15*time.Second, "the log has the class", func() bool {
			return strings.Contains(r.Log.String(), fmt.Sprintf(`"class":%q`, fault.class))
		})
	}
	if code, _ := r.Get("/"); code != 200 {
		t.Errorf("/ says %d", code)
	}
	for class, n := range redisErrors(t, r) {
		// A replica is refused as one, where it still says so.
		isReplica := class == "readonly" && strings.Contains(fault.name, "replica")
		if n > before[class] && class != fault.class && !isReplica && !slices.Contains([]string{"timeout", "connection", "noscript"}, class) {
			t.Errorf("%v errors of class %s besides", n-before[class], class)
		}
	}
	fault.recover(d)
	d.whole()
	d.write()
	// One period, after what a command in flight and the lease may take.
	took := program.Eventually(t, 12*time.Second, "the stream is trimmed again", d.trimmed)
	t.Logf("after %s", took.Round(10*time.Millisecond))
	d.whole()
	program.Eventually(t, 15*time.Second, "/health says 200", func() bool { code, _ := r.Get("/health"); return code == 200 })
}

// needTool skips where a program of the system is missing, and fails in CI.
func needTool(t *testing.T, name string) {
	t.Helper()
	_, err := exec.LookPath(name)
	switch {
	case err == nil:
	case os.Getenv("CI") != "":
		t.Fatalf("there is no %s: %v", name, err)
	default:
		t.Skipf("there is no %s here, which makes the fault: %v", name, err)
	}
}

// redisErrors is how many errors of each class were counted.
func redisErrors(t *testing.T, r *program.Instance) map[string]float64 {
	_, page := r.Get("/metrics")
	counts := make(map[string]float64)
	for line := range strings.Lines(page) {
		if rest, ok := strings.CutPrefix(line, `streamkeeper_redis_errors_total{class="`); ok {
			class, value, _ := strings.Cut(rest, `"} `)
			n, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
			mustDo(t, err)
			counts[class] = n
		}
	}
	return counts
}
