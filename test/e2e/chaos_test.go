package e2e

import (
	"context"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/streamkeeper/streamkeeper/internal/cli"
	"github.com/streamkeeper/streamkeeper/internal/program"
	"github.com/streamkeeper/streamkeeper/internal/redistest"
)

// TestNothingHangsAndNothingIsSwallowedInChaos makes faults of all kinds in the
// surroundings of two replicas, of one-shot runs and of somebody who follows
// a stream. CHAOS_SECONDS=600 makes it long, and SEED repeats one.
func TestNothingHangsAndNothingIsSwallowedInChaos(t *testing.T) {
	t.Parallel()
	seed := envNumber("SEED", int(time.Now().UnixNano()%1_000_000))
	// A test that does not end tells nothing but its name.
	t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
		c := &chaos{t: t, Server: redistest.Start(t), rng: rand.New(rand.NewPCG(uint64(seed), 20261128)), dir: t.TempDir(), kinds: make(map[string]int)}
		c.begin()
		for end := time.Now().Add(time.Duration(envNumber("CHAOS_SECONDS", 30)) * time.Second); time.Now().Before(end) && !t.Failed(); {
			c.fault()
		}
		c.calm()
		t.Logf("%v; %d runs of once, of which %d failed; %d restarts; the slowest end took %s", c.kinds, c.runs.Load(), c.failures.Load(), c.restarts, c.slowest)
	})
}

// chaosGrace is the SHUTDOWN_GRACE of the replicas.
const chaosGrace = 3 * time.Second

// chaos is a server, and processes that work on it.
type chaos struct {
	*redistest.Server
	t     *testing.T
	rng   *rand.Rand
	dir   string
	kinds map[string]int

	admin    *redis.Client
	password atomic.Value
	env      program.Env
	mu       sync.Mutex
	replicas []*chaosReplica // never changed, but replaced
	follower *exec.Cmd
	followed *program.Buffer

	work           sync.WaitGroup
	stop           context.CancelFunc
	runs, failures atomic.Int64
	restarts       int
	slowest        time.Duration
}

// chaosReplica is a replica whose stderr may stall.
type chaosReplica struct {
	*program.Instance
	log     *program.Buffer
	stalled atomic.Bool // nobody reads what it logs
	frozen  atomic.Bool
}

func (c *chaos) passwordFile() string { return filepath.Join(c.dir, "password") }

// setPassword has the server ask for another password, and ends all connections.
func (c *chaos) setPassword(password string) {
	mustDo(c.t, c.admin.ConfigSet(c.t.Context(), "requirepass", password).Err())
	c.password.Store(password)
	c.hangUp()
}

func (c *chaos) writePassword() {
	next := c.passwordFile() + ".next"
	mustDo(c.t, os.WriteFile(next, []byte(c.password.Load().(string)+"\n"), 0o600))
	mustDo(c.t, os.Rename(next, c.passwordFile()))
}

func (c *chaos) hangUp() {
	_ = c.admin.Do(c.t.Context(), "CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes").Err()
}

func (c *chaos) begin() {
	c.password.Store("")
	c.admin = redis.NewClient(&redis.Options{
		Addr: c.Addr, Protocol: 2, DisableIdentity: true, MaxRetries: 5, CredentialsProvider: func() (string, string) { return "", c.password.Load().(string) },
	})
	c.t.Cleanup(func() { _ = c.admin.Close() })
	c.setPassword("first")
	c.writePassword()
	c.env = program.Env(program.Hurried())
	maps.Copy(c.env, program.Env{
		"REDIS_URL": c.URL(), "REDIS_PASSWORD_FILE": c.passwordFile(), "SHUTDOWN_GRACE": chaosGrace.String(), "LOG_LEVEL": "debug",
		"TRIM_MAX_LENGTH": fmt.Sprint(fleetLimit), "TRIM_EXACT": "true", "CLEANUP_EXPIRE_AFTER": "1h",
	})
	ctx, stop := context.WithCancel(context.Background())
	c.stop = stop
	c.write(ctx)
	c.work.Go(func() {
		for ctx.Err() == nil {
			c.write(ctx)
			time.Sleep(50 * time.Millisecond)
		}
	})
	for range 2 {
		c.replicas = append(c.replicas, c.start())
	}
	c.work.Go(func() { c.once(ctx) })
	c.work.Go(func() { c.look(ctx) })
	c.follower, c.followed = c.env.Command(c.t, "inspect", "--follow", "busy"), new(program.Buffer)
	shown := new(program.Buffer)
	c.follower.Stdout, c.follower.Stderr = shown, c.followed
	mustDo(c.t, c.follower.Start())
	// A stream that is of another type as it begins is refused, and rightly.
	program.Eventually(c.t, time.Minute, "who follows shows a message", func() bool { return shown.String() != "" })
}

// write has a producer write a little; it fails where Redis does.
func (c *chaos) write(ctx context.Context) {
	pipe := c.admin.Pipeline()
	for i := range 20 {
		pipe.XAdd(ctx, &redis.XAddArgs{Stream: fleetKey, Values: []any{"id", "1", "data", strconv.Itoa(i)}})
	}
	pipe.SAdd(ctx, "streams", "busy")
	pipe.HSet(ctx, "sessions", "live", fmt.Sprintf(`{"streamSessionId":1,"streamName":"busy","lastUpdated":%d,"json":"{}"}`, time.Now().UnixMilli()))
	_, _ = pipe.Exec(ctx)
}

// start starts a replica whose stderr is read as long as it does not stall.
func (c *chaos) start() *chaosReplica {
	c.t.Helper()
	reader, writer, err := os.Pipe()
	mustDo(c.t, err)
	// What fits into a pipe would hide for long that nobody reads.
	_, _, _ = syscall.Syscall(syscall.SYS_FCNTL, writer.Fd(), syscall.F_SETPIPE_SZ, 4096)
	r := &chaosReplica{Instance: program.StartTo(c.t, program.CheckedPath(c.t), c.URL(), c.env, writer), log: new(program.Buffer)}
	_ = writer.Close()
	go func() {
		defer func() { _ = reader.Close() }()
		for part := make([]byte, 1<<10); ; {
			for r.stalled.Load() {
				time.Sleep(10 * time.Millisecond)
			}
			n, err := reader.Read(part)
			_, _ = r.log.Write(part[:n])
			if err == io.EOF || err != nil {
				return
			}
		}
	}()
	return r
}

// once runs again and again; that it fails is said.
func (c *chaos) once(ctx context.Context) {
	metrics := filepath.Join(c.dir, "once.prom")
	for n := 0; ctx.Err() == nil; n++ {
		switch n % 4 {
		case 3: // a disk that takes no file is one whose name is taken by a folder
			_ = os.RemoveAll(metrics)
			_ = os.MkdirAll(filepath.Join(metrics, "full"), 0o700)
		case 0:
			_ = os.RemoveAll(metrics)
		}
		at := time.Now()
		full := n%4 >= 2 // of results, or of metrics
		code, errs := c.onceTo(n%4 == 2, metrics)
		c.runs.Add(1)
		if code != cli.ExitOK {
			c.failures.Add(1)
		}
		if code == cli.ExitFailure && errs == "" || code < 0 || code == cli.ExitUsage || full && code != cli.ExitFailure {
			c.t.Errorf("once: exit %d\n%s", code, errs)
		}
		if took := time.Since(at); took > 20*time.Second {
			c.t.Errorf("once took %s\n%s", took, errs)
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// onceTo runs once; its result goes nowhere, or to a disk that is full.
func (c *chaos) onceTo(full bool, metrics string) (code int, errs string) {
	cmd := c.env.Command(c.t, "once", "--metrics-file", metrics)
	said := new(program.Buffer)
	cmd.Stderr = said
	if full {
		disk, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
		mustDo(c.t, err)
		defer func() { _ = disk.Close() }()
		cmd.Stdout = disk
	}
	_ = cmd.Run()
	return cmd.ProcessState.ExitCode(), said.String()
}

// look looks at the replicas all the while: nobody shows old news.
func (c *chaos) look(ctx context.Context) {
	for ctx.Err() == nil {
		for _, r := range c.all() {
			frozen := r.frozen.Load()
			s := r.Status()
			if s.Time.IsZero() || frozen || r.frozen.Load() {
				continue // it is frozen, starts, ends, or has no descriptor left
			}
			if age := time.Since(s.Time); age > 5*time.Second {
				c.t.Errorf("a page is %s old", age)
			}
			if !s.Leader.Leading && (len(s.Errors) > 0 || s.NextCleanup.Brake != "" || !s.Sessions.Read.IsZero() || s.Redis.Used != 0 || len(s.Streams.Largest) > 0) {
				c.t.Errorf("a follower shows %+v", s)
			}
		}
		time.Sleep(50 * time.Millisecond)
	}
}

func (c *chaos) pause(least, most int) {
	time.Sleep(time.Duration(least+c.rng.IntN(most-least)) * time.Millisecond)
}

func (c *chaos) all() []*chaosReplica {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.replicas
}

func (c *chaos) some() *chaosReplica { return c.all()[c.rng.IntN(2)] }

// leader is the one that leads, or any.
func (c *chaos) leader() *chaosReplica {
	for _, r := range c.all() {
		if r.Leads() {
			return r
		}
	}
	return c.some()
}

// becomes puts a key of another type in a key's place for a while.
func (c *chaos) becomes(key string) {
	ctx := c.t.Context()
	_ = c.admin.Rename(ctx, key, "aside").Err()
	_ = c.admin.Set(ctx, key, "another type", 0).Err()
	c.pause(200, 1500)
	if c.admin.Type(ctx, key).Val() == "string" {
		_ = c.admin.Del(ctx, key).Err()
	}
	_ = c.admin.RenameNX(ctx, "aside", key).Err()
	_ = c.admin.Del(ctx, "aside").Err()
}

var chaosFaults = []struct {
	name string
	make func(c *chaos)
}{
	{"stderr stalls", func(c *chaos) {
		r := c.some()
		r.stalled.Store(true)
		defer r.stalled.Store(false)
		c.pause(500, 3000)
	}},
	{"few descriptors", func(c *chaos) {
		r := c.some()
		pid := strconv.Itoa(r.PID())
		open, err := os.ReadDir("/proc/" + pid + "/fd")
		mustDo(c.t, err)
		_ = exec.Command("prlimit", "--pid", pid, fmt.Sprintf("--nofile=%d:", len(open))).Run()
		c.hangUp()
		c.pause(500, 2500)
		_ = exec.Command("prlimit", "--pid", pid, "--nofile=1024:").Run()
	}},
	{"password rotation", func(c *chaos) {
		c.setPassword(fmt.Sprint("password ", c.rng.IntN(1000)))
		c.pause(1, 1500)
		c.writePassword()
	}},
	{"SIGSTOP of the leader", func(c *chaos) {
		r := c.leader()
		r.frozen.Store(true)
		r.Freeze()
		c.pause(300, 4000)
		r.Wake()
		c.pause(300, 301) // until it has looked at the clock
		r.frozen.Store(false)
	}},
	{"SIGSTOP of Redis", func(c *chaos) {
		mustDo(c.t, syscall.Kill(c.PID(), syscall.SIGSTOP))
		c.pause(100, 2000)
		mustDo(c.t, syscall.Kill(c.PID(), syscall.SIGCONT))
	}},
	{"streams becomes another type", func(c *chaos) { c.becomes("streams") }},
	{"sessions becomes another type", func(c *chaos) { c.becomes("sessions") }},
	{"a stream becomes another type", func(c *chaos) { c.becomes(fleetKey) }},
	{"the lease becomes another type", func(c *chaos) {
		_ = c.admin.Del(c.t.Context(), "streamkeeper:lease").Err()
		_ = c.admin.HSet(c.t.Context(), "streamkeeper:lease", "a", 1).Err()
		c.pause(500, 2500)
		_ = c.admin.Del(c.t.Context(), "streamkeeper:lease").Err()
	}},
	{"our notes become another type", func(c *chaos) {
		for _, key := range []string{"streamkeeper:sighted", "streamkeeper:left"} {
			c.becomes(key)
		}
	}},
	{"names evicted", func(c *chaos) { _ = c.admin.Del(c.t.Context(), "streams").Err() }},
	{"the lease evicted", func(c *chaos) { _ = c.admin.Del(c.t.Context(), "streamkeeper:lease").Err() }},
	{"connections killed", (*chaos).hangUp},
}

// fault makes one fault, sometimes with a replica that is told to end meanwhile.
func (c *chaos) fault() {
	f := chaosFaults[c.rng.IntN(len(chaosFaults))]
	c.kinds[f.name]++
	restart := c.rng.IntN(4) == 0
	which, wait := c.rng.IntN(2), time.Duration(c.rng.IntN(800))*time.Millisecond
	var ending sync.WaitGroup
	if restart {
		r := c.all()[which]
		ending.Go(func() {
			time.Sleep(wait)
			c.ends(r, f.name)
		})
	}
	f.make(c)
	ending.Wait()
	if restart {
		c.restarts++
		replicas := slices.Clone(c.all())
		replicas[which] = c.start()
		c.mu.Lock()
		c.replicas = replicas
		c.mu.Unlock()
	}
	c.pause(50, 500)
}

// ends has a replica end within its grace, and say why if it is not well.
func (c *chaos) ends(r *chaosReplica, during string) {
	for r.frozen.Load() {
		time.Sleep(10 * time.Millisecond)
	}
	begun := time.Now()
	r.Stop()
	code := r.Ends(chaosGrace + 10*time.Second)
	took := time.Since(begun)
	c.slowest = max(c.slowest, took)
	// What the scheduler of a loaded machine takes comes on top.
	if took > chaosGrace+700*time.Millisecond {
		c.t.Errorf("during %q it took %s to end, and the grace is %s", during, took, chaosGrace)
	}
	// One that has not begun yet is ended by the signal itself.
	begins := code == -1 && !strings.Contains(r.Log.String(), `"started"`)
	if code != cli.ExitOK && code != cli.ExitFailure && !begins {
		c.t.Errorf("during %q it ended with %d", during, code)
	}
	c.said(r)
}

// said checks what a replica logged.
func (c *chaos) said(r *chaosReplica) {
	log := r.log.String()
	if strings.Contains(log, "panic") || strings.Contains(log, "DATA RACE") || strings.Contains(log, "goroutine ") {
		c.t.Errorf("the log says\n%s", log)
	}
}

// failed is how many runs failed at a replica.
func failedRuns(r *program.Instance) (n int) {
	_, page := r.Get("/metrics")
	for line := range strings.Lines(page) {
		if strings.HasPrefix(line, "streamkeeper_job_runs_total{") && strings.Contains(line, `result="error"`) {
			_, value, _ := strings.Cut(line, "} ")
			failed, _ := strconv.Atoi(strings.TrimSpace(value))
			n += failed
		}
	}
	return n
}

// calm looks at what is left, once nothing happens any more.
func (c *chaos) calm() {
	c.writePassword()
	program.Eventually(c.t, 30*time.Second, "one replica leads, and all are well", func() bool {
		leaders := 0
		for _, r := range c.all() {
			if code, _ := r.Get("/health"); code != 200 {
				return false
			}
			if r.Leads() {
				leaders++
			}
		}
		return leaders == 1
	})
	c.stop()
	c.work.Wait()
	program.Eventually(c.t, 10*time.Second, "the stream is trimmed", func() bool {
		return c.admin.XLen(c.t.Context(), fleetKey).Val() == fleetLimit && c.admin.SIsMember(c.t.Context(), "streams", "busy").Val()
	})
	if !c.admin.HExists(c.t.Context(), "sessions", "live").Val() {
		c.t.Error("the live session is gone")
	}
	for _, r := range c.all() {
		// Each failure is said, unless the line was dropped, which is counted.
		failed, dropped := failedRuns(r.Instance), series(r.Instance, "streamkeeper_log_dropped_total")
		program.Eventually(c.t, 5*time.Second, "each failure is said", func() bool {
			return strings.Count(r.log.String(), `"msg":"run failed"`) >= failed || dropped > 0
		})
		c.ends(r, "calm")
	}
	if code := endsAtOnce(c.t, c.follower, time.Second); code != cli.ExitOK && code != cli.ExitInvalid {
		c.t.Errorf("who follows ended with %d\n%s", code, c.followed)
	}
}
