package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/streamkeeper/streamkeeper/internal/cli"
	"github.com/streamkeeper/streamkeeper/internal/jobs"
	"github.com/streamkeeper/streamkeeper/internal/program"
	"github.com/streamkeeper/streamkeeper/internal/redistest"
)

const leaseTTL = time.Second // of hurried

// fleet is three replicas on one Redis, and a stream that outgrows its limit all
// the time, so that every run has something to remove.
type fleet struct {
	*redistest.Server
	replicas []*program.Instance
}

const (
	fleetLimit = 100
	fleetKey   = "stream:busy"
)

func startFleet(t *testing.T) *fleet {
	t.Helper()
	t.Parallel()
	f := &fleet{Server: redistest.Start(t)}
	f.Client.SAdd(t.Context(), "streams", "busy")
	for range 3 {
		f.replicas = append(f.replicas, program.StartChecked(t, f.URL(), map[string]string{
			"TRIM_MAX_LENGTH": fmt.Sprint(fleetLimit), "TRIM_EXACT": "true", "CLEANUP_EXPIRE_AFTER": "1h",
		}))
	}
	program.LeaderOf(t, 15*time.Second, f.replicas)
	return f
}

// others are the replicas but one.
func (f *fleet) others(but *program.Instance) []*program.Instance {
	return slices.DeleteFunc(slices.Clone(f.replicas), func(r *program.Instance) bool { return r == but })
}

// grow makes the stream longer than it may be.
func (f *fleet) grow(t *testing.T) {
	t.Helper()
	pipe := f.Client.Pipeline()
	for i := range 3 * fleetLimit {
		pipe.XAdd(t.Context(), &redis.XAddArgs{Stream: fleetKey, Values: []any{"n", i}})
	}
	if _, err := pipe.Exec(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// trimmedWithin checks that the stream is at its limit soon.
func (f *fleet) trimmedWithin(t *testing.T, d time.Duration) {
	t.Helper()
	took := program.Eventually(t, d, "the stream is trimmed", func() bool {
		return f.Client.XLen(t.Context(), fleetKey).Val() == fleetLimit
	})
	t.Logf("trimmed after %s", took.Round(time.Millisecond))
}

// promised is how long trimming may pause after the leader was killed: two TTL,
// and the second that the takeover's run has to be noticed here.
const promised = 2*leaseTTL + time.Second/2

func TestAFollowerTakesOverFromALeaderThatIsKilled(t *testing.T) {
	f := startFleet(t)
	leader := program.LeaderOf(t, time.Second, f.replicas)
	f.grow(t)
	f.trimmedWithin(t, 3*time.Second)
	leader.Kill()
	leader.Ends(time.Second)
	f.grow(t)
	f.trimmedWithin(t, promised)
	f.oneLeads(t, f.others(leader))
}

func TestAFollowerTakesOverAtOnceFromALeaderThatStops(t *testing.T) {
	f := startFleet(t)
	leader := program.LeaderOf(t, time.Second, f.replicas)
	program.Eventually(t, 3*time.Second, "the leader has trimmed", func() bool { return leader.Runs(jobs.Trim) > 0 })
	leader.Stop()
	if code := leader.Ends(5 * time.Second); code != cli.ExitOK {
		t.Errorf("exit %d", code)
	}
	f.grow(t)
	// The first run after a takeover is spread over a third of a TTL.
	f.trimmedWithin(t, leaseTTL)
	f.oneLeads(t, f.others(leader))
}

func TestALeaderThatWakesAfterItsLeaseStandsByAndDoesNoHarm(t *testing.T) {
	f := startFleet(t)
	leader := program.LeaderOf(t, time.Second, f.replicas)
	leader.Freeze()
	f.grow(t)
	f.trimmedWithin(t, promised)
	next := program.LeaderOf(t, time.Second, f.others(leader))
	leader.Wake()
	program.Eventually(t, 2*leaseTTL, "the one that slept stands by", func() bool {
		s := leader.Status()
		return !s.Leader.Leading && s.Leader.Lease == "standby"
	})
	if !next.Leads() {
		t.Error("the one that took over no longer leads")
	}
	if _, page := leader.Get("/metrics"); strings.Contains(page, `stream="busy"`) {
		t.Error("a follower still tells of streams")
	}
	f.grow(t)
	f.trimmedWithin(t, 3*time.Second)
	f.oneLeads(t, f.replicas)
}

// The first run of each job may come before the first reading of the figures;
// what it does is counted by stream all the same.
func TestTheFirstRunsOfADaemonCountByStream(t *testing.T) {
	t.Parallel()
	w := startFixture(t, "object")
	keeper := program.Start(t, w.server.URL(), map[string]string{
		"TRIM_MAX_LENGTH": "100", "TRIM_EXACT": "true", "CLEANUP_ENABLED": "false",
		"TRIM_SCHEDULE": "@every 1h", "INSPECT_SCHEDULE": "@every 1h", "METRICS_INTERVAL": "1h",
	})
	var page string
	program.Eventually(t, 30*time.Second, "each job has run once", func() bool {
		if keeper.Runs(jobs.Trim) < 1 || keeper.Runs(jobs.Inspect) < 1 {
			return false
		}
		_, page = keeper.Get("/metrics")
		return true
	})
	for _, none := range []string{
		`streamkeeper_trim_entries_removed_total{reason="length",stream="_other"} 0`,
		`streamkeeper_inspect_messages_total{stream="_other",verdict="ok"} 0`,
		`streamkeeper_inspect_messages_total{stream="_other",verdict="warn"} 0`,
		`streamkeeper_inspect_messages_total{stream="_other",verdict="invalid"} 0`,
	} {
		if !strings.Contains(page, "\n"+none+"\n") {
			t.Errorf("the page has no %s", none)
		}
	}
	if !strings.Contains(page, `streamkeeper_trim_entries_removed_total{reason="length",stream="busy"}`) ||
		strings.Contains(page, `streamkeeper_trim_entries_removed_total{reason="length",stream="busy"} 0`) {
		t.Error("what was trimmed is not counted")
	}
}

// oneLeads checks that of the replicas one leads, and that all are healthy.
func (f *fleet) oneLeads(t *testing.T, replicas []*program.Instance) {
	t.Helper()
	leaders := 0
	for _, r := range replicas {
		if r.Leads() {
			leaders++
		}
		if code, body := r.Get("/health"); code != 200 {
			t.Errorf("/health of a replica says %d: %s", code, body)
		}
	}
	if leaders != 1 {
		t.Errorf("%d replicas lead", leaders)
	}
}

// Without a lease all work at once, on a buffer with something of everything.
func TestTwoAtOnceDoNoMoreThanOneWould(t *testing.T) {
	t.Parallel()
	w := startFixture(t, "object")
	settings := map[string]string{
		"LEASE_ENABLED": "false", "TRIM_MAX_LENGTH": "1000", "TRIM_POLICIES": `aged: max_age=1h; "exact: one": exact=true`,
	}
	replicas := []*program.Instance{program.StartChecked(t, w.server.URL(), settings), program.StartChecked(t, w.server.URL(), settings)}
	for _, r := range replicas {
		program.Eventually(t, 20*time.Second, "each job was done three times", func() bool {
			return min(r.Runs(jobs.Trim), r.Runs(jobs.Cleanup)) >= 3
		})
	}
	w.left(t, "busy", 1000)
	w.left(t, "exact: one", 1000)
	w.left(t, "short*", 990)
	w.left(t, "aged", 100)
	w.left(t, "idle", 10)
	if got, want := w.names(t), []string{"aged", "busy", "exact: one", "idle", "missing", "short*", "text"}; !slices.Equal(got, want) {
		t.Errorf("the names are %q, want %q", got, want)
	}
	if got, want := w.sessions(t), []string{"live-2", "live: 1", "odd"}; !slices.Equal(got, want) {
		t.Errorf("the sessions are %q, want %q", got, want)
	}
}

func TestALeaseThatWouldNeverEndDoesNotStopTheWork(t *testing.T) {
	t.Parallel()
	for name, lay := range map[string]func(*redistest.Server){
		"without a time to live": func(s *redistest.Server) { s.Client.Set(t.Context(), "streamkeeper:lease", "gone", 0) },
		"of another type":        func(s *redistest.Server) { s.Client.HSet(t.Context(), "streamkeeper:lease", "a", 1) },
	} {
		t.Run(name, func(t *testing.T) {
			s := redistest.Start(t)
			lay(s)
			r := program.Start(t, s.URL(), nil)
			program.Eventually(t, 15*time.Second, "it leads", r.Leads)
			program.Eventually(t, 15*time.Second, "it trims", func() bool { return r.Runs(jobs.Trim) > 0 })
			const isHash = "streamkeeper:lease is a hash"
			says := isHash
			if name == "without a time to live" {
				says = "lease had no end"
			}
			program.Eventually(t, 5*time.Second, "the log says "+says, func() bool { return strings.Contains(r.Log.String(), says) })
			if _, health := r.Get("/health"); strings.Contains(health, isHash) != (says == isHash) || strings.Contains(r.Log.String(), isHash) != (says == isHash) {
				t.Errorf("health says %s\nand the log\n%s", health, r.Log)
			}
		})
	}
}

func TestSIGTERMEndsWithinTheGraceAndHealthSaysSoMeanwhile(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t, "--enable-debug-command", "local")
	r := program.StartChecked(t, s.URL(), map[string]string{"REDIS_TIMEOUT": "4s", "SHUTDOWN_GRACE": "8s"})
	program.Eventually(t, 15*time.Second, "it leads", r.Leads)
	holdUp(t, s, 2) // a command in flight is awaited
	begun := time.Now()
	r.Stop()
	program.Eventually(t, 2*time.Second, "/health answers 503", func() bool {
		code, body := r.Get("/health")
		return code == 503 && strings.Contains(body, "is stopping")
	})
	if code := r.Ends(10 * time.Second); code != cli.ExitOK {
		t.Errorf("exit %d", code)
	}
	if took := time.Since(begun); took > 8*time.Second {
		t.Errorf("it took %s", took)
	}
	if holder := s.Client.Get(t.Context(), "streamkeeper:lease").Val(); holder != "" {
		t.Error("the lease was not given back")
	}
	if notes := s.Client.HLen(t.Context(), "streamkeeper:instances").Val(); notes != 0 {
		t.Error("the note of the instance was not taken back")
	}
}

// Beside others it could take longer only because the machine is busy.
func TestASecondSignalEndsAtOnce(t *testing.T) {
	s := redistest.Start(t, "--enable-debug-command", "local")
	r := program.Start(t, s.URL(), map[string]string{"REDIS_TIMEOUT": "10s", "SHUTDOWN_GRACE": "20s"})
	program.Eventually(t, 15*time.Second, "it leads", r.Leads)
	holdUp(t, s, 4)
	r.Stop()
	program.Eventually(t, 3*time.Second, "it is stopping, and waits for the command in flight", func() bool { return r.Status().Stopping })
	begun := time.Now()
	r.Signal(syscall.SIGTERM)
	if code := r.Ends(2 * time.Second); code == cli.ExitOK {
		t.Error("it says that all was well")
	}
	if took := time.Since(begun); took > time.Second {
		t.Errorf("it took %s", took)
	}
}

// holdUp makes Redis answer nobody for some seconds.
func holdUp(t *testing.T, s *redistest.Server, seconds int) {
	t.Helper()
	client := redis.NewClient(&redis.Options{Addr: s.Addr, ReadTimeout: time.Minute})
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = client.Do(t.Context(), "debug", "sleep", seconds).Err()
	}()
	t.Cleanup(func() {
		<-done
		_ = client.Close()
	})
	time.Sleep(100 * time.Millisecond) // it has to be there before what follows
}

func TestARunIsOneLineAtInfo(t *testing.T) {
	t.Parallel()
	w := startFixture(t, "object")
	r := program.Start(t, w.server.URL(), map[string]string{"TRIM_MAX_LENGTH": "1000", "CLEANUP_SCHEDULE": "@every 1h"})
	program.Eventually(t, 20*time.Second, "there were five runs", func() bool { return r.Runs(jobs.Trim) >= 5 })
	r.Stop()
	r.Ends(5 * time.Second)
	perRun := make(map[string]int)
	for line := range strings.Lines(r.Log.String()) {
		var entry struct{ Level, Msg, Job string }
		if err := json.Unmarshal([]byte(line), &entry); err != nil {
			t.Fatalf("not a line of JSON: %s", line)
		}
		if entry.Level == "INFO" && entry.Job == jobs.Trim {
			perRun[entry.Msg]++
		}
	}
	if len(perRun) != 1 || perRun["trimmed"] < 5 {
		t.Errorf("lines of the trim job at info: %v", perRun)
	}
}

func TestNoSecretIsEverShown(t *testing.T) {
	const inURL, inFile, payload = "hunter2-url", "hunter2-file", "payload-of-a-user"
	t.Parallel()
	s := redistest.Start(t, "--requirepass", inFile)
	authed := redis.NewClient(&redis.Options{Addr: s.Addr, Password: inFile})
	defer func() { _ = authed.Close() }()
	for range 200 {
		authed.XAdd(t.Context(), &redis.XAddArgs{Stream: "stream:a", Values: []string{"id", "1", "data", payload}})
	}
	authed.SAdd(t.Context(), "streams", "a")
	file := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(file, []byte(inFile+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	url := "redis://:" + inURL + "@" + s.Addr + "/0"
	r := program.Start(t, url, map[string]string{"REDIS_PASSWORD_FILE": file, "LOG_LEVEL": "debug", "TRIM_MAX_LENGTH": "100"})
	program.Eventually(t, 20*time.Second, "it has worked", func() bool { return min(r.Runs(jobs.Trim), r.Runs(jobs.Inspect)) > 0 })
	// What goes wrong is told at length, and still without it.
	authed.ConfigSet(t.Context(), "requirepass", "another")
	authed.Do(t.Context(), "client", "kill", "type", "normal", "skipme", "yes")
	program.Eventually(t, 20*time.Second, "a run failed", func() bool { return strings.Contains(r.Log.String(), "run failed") })
	shown := map[string]string{"the log": r.Log.String()}
	for _, path := range []string{"/", "/health", "/status.json", "/metrics"} {
		_, shown[path] = r.Get(path)
	}
	r.Stop()
	r.Ends(6 * time.Second)
	shown["the last of the log"] = r.Log.String()
	for where, text := range shown {
		if text == "" {
			t.Errorf("%s is empty", where)
		}
		for _, secret := range []string{inURL, inFile, payload} {
			if strings.Contains(text, secret) {
				t.Errorf("%s shows %q:\n%s", where, secret, text)
			}
		}
	}
	wrong := program.Start(t, url, nil)
	program.Eventually(t, 20*time.Second, "it says that Redis refuses it", func() bool { return strings.Contains(wrong.Log.String(), "cannot use Redis") })
	wrong.Stop()
	if code := wrong.Ends(10 * time.Second); code != cli.ExitOK || strings.Contains(wrong.Log.String(), inURL) {
		t.Errorf("with a wrong password: exit %d, and it says\n%s", code, wrong.Log)
	}
}
