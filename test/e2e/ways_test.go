package e2e

import (
	"maps"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/streamkeeper/streamkeeper/internal/cli"
	"github.com/streamkeeper/streamkeeper/internal/program"
	"github.com/streamkeeper/streamkeeper/internal/redistest"
)

// becomesReplica has a server follow another, which is empty, but keep its data as
// one that was cut off does.
func becomesReplica(t *testing.T, s *redistest.Server) {
	t.Helper()
	// Nobody listens there, so nothing is synchronised.
	_, port, _ := net.SplitHostPort(redistest.FreeAddress(t))
	mustDo(t, s.Client.Do(t.Context(), "REPLICAOF", "127.0.0.1", port).Err())
	mustDo(t, s.Client.ConfigSet(t.Context(), "replica-serve-stale-data", "yes").Err())
}

func TestOnAReplicaEverythingThatRemovesIsRefused(t *testing.T) {
	t.Parallel()
	for _, readOnly := range []string{"yes", "no"} {
		t.Run("read-only "+readOnly, func(t *testing.T) {
			t.Parallel()
			w := startFixture(t, "object")
			mustDo(t, w.server.Client.ConfigSet(t.Context(), "replica-read-only", readOnly).Err())
			becomesReplica(t, w.server)
			for _, args := range [][]string{{"once"}, {"once", "trim"}, {"once", "cleanup"}, {"once", "--force"}} {
				code, out, errs := w.env.Run(t, args...)
				if code != cli.ExitFailure || !strings.Contains(out, "this Redis is a replica: name the master, or set REDIS_ALLOW_REPLICA=true") {
					t.Errorf("%v: exit %d\n%s%s", args, code, out, errs)
				}
			}
			if n := w.client.XLen(t.Context(), "stream:busy").Val(); n != 2500 {
				t.Errorf("the stream has %d entries", n)
			}
			if n := w.client.Exists(t.Context(), "streamkeeper:policy", "streamkeeper:brake", "streamkeeper:sighted").Val(); n != 0 {
				t.Errorf("%d keys of our own were written", n)
			}
			if out := w.env.MustRun(t, "plan"); !strings.Contains(out, "a replica") || !strings.Contains(out, "once would change nothing: this Redis is a replica") {
				t.Errorf("plan does not say what it looked at:\n%s", out)
			}
			w.env.MustRun(t, "once", "--dry-run")
			if readOnly == "no" {
				w.env["REDIS_ALLOW_REPLICA"] = "true"
				w.env.MustRun(t, "once", "trim")
				if n := w.client.XLen(t.Context(), "stream:busy").Val(); n == 2500 {
					t.Error("where it is allowed, nothing is trimmed")
				}
			}
		})
	}
}

func TestADaemonWhoseRedisBecomesAReplicaSaysSoAndGoesOnWhenItIsAMasterAgain(t *testing.T) {
	t.Parallel()
	w := startFixture(t, "object")
	mustDo(t, w.server.Client.ConfigSet(t.Context(), "replica-read-only", "no").Err())
	d := program.Start(t, w.server.URL(), map[string]string{"TRIM_MAX_LENGTH": "1000"})
	program.Eventually(t, 20*time.Second, "it works", func() bool { return d.Runs("trim") > 0 && d.Runs("cleanup") > 0 })
	becomesReplica(t, w.server)
	program.Eventually(t, 20*time.Second, "health says so", func() bool {
		status, body := d.Get("/health")
		return status == 503 && strings.Contains(body, "this Redis is a replica")
	})
	w.stream(t, "late", 3000, 0, 10*time.Millisecond)
	// Nothing is written there, the lease neither.
	program.Eventually(t, 20*time.Second, "the lease is refused", func() bool {
		return strings.Contains(d.Status().Leader.Error, "this Redis is a replica")
	})
	if n := w.client.XLen(t.Context(), "stream:late").Val(); n != 3000 {
		t.Errorf("a replica was trimmed to %d entries", n)
	}
	mustDo(t, w.server.Client.Do(t.Context(), "REPLICAOF", "NO", "ONE").Err())
	program.Eventually(t, 20*time.Second, "it works again", func() bool {
		status, _ := d.Get("/health")
		return status == 200 && w.client.XLen(t.Context(), "stream:late").Val() < 1200
	})
}

func TestTheDaemonWaitsForARedisThatCannotBeUsedYet(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	proxy := redistest.StartProxy(t, s.Addr)
	for _, c := range []struct {
		name, reply, says string
	}{
		{"away", "", "refused"},
		{"loading", "LOADING Redis is loading the dataset in memory", "LOADING"},
		{"a wrong password", "WRONGPASS invalid username-password pair or user is disabled.", "wrong user or password"},
		{"no HELLO", "ERR unknown command 'HELLO'", "it does not know HELLO"},
	} {
		t.Run(c.name, func(t *testing.T) {
			mustDo(t, s.Client.Ping(t.Context()).Err())
			url := proxy.URL()
			if c.reply == "" {
				url = "redis://" + redistest.FreeAddress(t)
			}
			proxy.Set(func(command []string) redistest.Fault {
				if strings.EqualFold(command[0], "hello") {
					return redistest.Fault{Reply: c.reply}
				}
				return redistest.Fault{}
			})
			d := program.Start(t, url, nil)
			program.Eventually(t, 20*time.Second, "health says why", func() bool {
				status, body := d.Get("/health")
				return status == 503 && strings.Contains(body, c.says)
			})
			if status, _ := d.Get("/"); status != 200 {
				t.Errorf("the page: %d", status)
			}
			if _, page := d.Get("/metrics"); !strings.Contains(page, "streamkeeper_redis_up 0") {
				t.Error("the metrics do not say that Redis is away")
			}
			if c.reply != "" {
				proxy.Set(nil)
				program.Eventually(t, 30*time.Second, "it works", func() bool {
					status, _ := d.Get("/health")
					return status == 200 && d.Runs("trim") > 0
				})
			}
			d.Stop()
			if code := d.Ends(10 * time.Second); code != cli.ExitOK {
				t.Errorf("it ends with %d", code)
			}
			for _, args := range [][]string{{"once"}, {"plan"}, {"inspect"}} {
				if c.reply == "" {
					if code, _, _ := (program.Env{"REDIS_URL": url}).Run(t, args...); code != cli.ExitFailure {
						t.Errorf("%v ends with %d", args, code)
					}
				}
			}
		})
	}
}

func TestOnlyItsOwnConfigurationEndsTheDaemon(t *testing.T) {
	t.Parallel()
	files, stranger := redistest.MakeCertificates(t, "redis.example"), redistest.NewAuthority(t)
	strangerCert, _ := stranger.Issue(t, "stranger")
	file := filepath.Join(t.TempDir(), "ca.pem")
	mustDo(t, os.WriteFile(file, []byte("none"), 0o600))
	url := "rediss://" + redistest.FreeAddress(t)
	ca, cert, key := "REDIS_TLS_CA_FILE", "REDIS_TLS_CERT_FILE", "REDIS_TLS_KEY_FILE"
	for _, c := range []struct {
		env  map[string]string
		says string
	}{
		{map[string]string{ca: file}, "STREAMKEEPER_REDIS_TLS_CA_FILE=\"" + file + "\": holds no PEM certificate; allowed: a file with one or more CERTIFICATE blocks"},
		{map[string]string{ca: files.ServerKey}, "STREAMKEEPER_REDIS_TLS_CA_FILE=\"" + files.ServerKey + "\": holds no PEM certificate but a block EC PRIVATE KEY; allowed"},
		{map[string]string{cert: files.ClientKey, key: files.ClientCert}, "STREAMKEEPER_REDIS_TLS_CERT_FILE=\"" + files.ClientKey + "\": holds no PEM certificate but a block EC PRIVATE KEY; allowed"},
		{map[string]string{cert: files.ClientKey, key: files.ClientCert}, "STREAMKEEPER_REDIS_TLS_KEY_FILE=\"" + files.ClientCert + "\": holds no PEM private key but a block CERTIFICATE; allowed"},
		{map[string]string{cert: strangerCert, key: files.ClientKey}, "STREAMKEEPER_REDIS_TLS_KEY_FILE=\"" + files.ClientKey + "\": does not fit the certificate ("},
	} {
		d := program.Start(t, url, c.env)
		if code := d.Ends(10 * time.Second); code != cli.ExitUsage {
			t.Errorf("%v: exit %d", c.env, code)
		}
		if log := d.Log.String(); !strings.Contains(log, c.says) || strings.Contains(log, "listening") || strings.Contains(log, "started") {
			t.Errorf("want %s in\n%s", c.says, log)
		}
	}
}

func TestNothingFoundNamesTheTargetAndWhereKeysAre(t *testing.T) {
	t.Parallel()
	w := startFixture(t, "object")
	env := program.Env{"REDIS_URL": "redis://" + w.server.Addr + "/5"}
	where := "in database 5 of redis://" + w.server.Addr + "/5; there are keys in database 0 ("
	for _, args := range [][]string{{"plan"}, {"once"}, {"inspect"}} {
		_, out, errs := env.Run(t, args...)
		if !strings.Contains(out+errs, where) || strings.Contains(out, "Nothing to do.") {
			t.Errorf("%v:\n%s%s", args, out, errs)
		}
	}
	d := program.Start(t, env["REDIS_URL"], nil)
	program.Eventually(t, 20*time.Second, "health says it", func() bool {
		_, body := d.Get("/health")
		return strings.Contains(body, where) && strings.Contains(d.Log.String(), "nothing found")
	})
	d.Stop()
	d.Ends(10 * time.Second)
	if _, out, _ := env.Run(t, "plan"); strings.Contains(out, "are STREAMS_KEY") {
		t.Errorf("our own keys are taken for somebody's:\n%s", out)
	}
	mustDo(t, w.server.Client.FlushAll(t.Context()).Err())
	if _, out, _ := env.Run(t, "plan"); !strings.Contains(out, "is empty") {
		t.Errorf("an empty server:\n%s", out)
	}
	mustDo(t, w.client.Set(t.Context(), "other", "x", 0).Err())
	if _, out, _ := w.env.Run(t, "plan"); !strings.Contains(out, "which holds 1 key: are STREAMS_KEY") {
		t.Errorf("another program's database:\n%s", out)
	}
}

func TestPlanTakesPatternsJobsAndSaysByItsExitCodeWhetherThereIsWork(t *testing.T) {
	t.Parallel()
	w := startFixture(t, "object")
	out := w.env.MustRun(t, "plan", "busy*", "--job", "trim")
	first, _, _ := strings.Cut(out, "\n")
	if !strings.HasPrefix(first, "redis://"+w.server.Addr+"/0, database 0, Redis ") || !strings.Contains(first, "(standalone): 1 stream.") {
		t.Errorf("the first line is %s", first)
	}
	if !strings.Contains(out, "busy") || strings.Contains(out, "trim    exact") || strings.Contains(out, "expire  ") || !strings.Contains(out, "BYTES") {
		t.Errorf("of one stream:\n%s", out)
	}
	plan := decode[struct {
		Summary map[string]any `json:"summary"`
		Actions []map[string]any
	}](t, w.env.MustRun(t, "plan", "-o", "json", `"dead"`, "--job", "cleanup"))
	trimmed := decode[struct {
		Summary map[string]any `json:"summary"`
	}](t, w.env.MustRun(t, "plan", "-o", "json", "--job", "trim"))
	if sessions, there := trimmed.Summary["sessions"]; !there || sessions != nil {
		t.Errorf("sessions that were not read are %v", trimmed.Summary)
	}
	if len(plan.Actions) == 0 || plan.Summary["expire_sessions"] != 1.0 || plan.Summary["streams"] != 1.0 {
		t.Errorf("of the dead stream: %v", plan)
	}
	for _, a := range plan.Actions {
		if a["stream"] != "dead" {
			t.Errorf("an action of another stream: %v", a)
		}
	}
	whole := decode[struct {
		Summary struct {
			Bytes int64 `json:"trim_bytes"`
		} `json:"summary"`
		Actions []struct {
			Action, Stream string
			Bytes          int64 `json:"bytes"`
		}
	}](t, w.env.MustRun(t, "plan", "-o", "json"))
	var sum int64
	before := w.server.Client.MemoryUsage(t.Context(), "stream:busy", 0).Val()
	for _, a := range whole.Actions {
		sum += a.Bytes
		if a.Action == "trim" && a.Stream == "busy" && (a.Bytes < before/3 || a.Bytes > before) {
			t.Errorf("trimming 1500 of 2500 entries frees %d of %d bytes", a.Bytes, before)
		}
	}
	if sum == 0 || sum != whole.Summary.Bytes {
		t.Errorf("the bytes are %d in all, and %d", sum, whole.Summary.Bytes)
	}
	if code, _, _ := w.env.Run(t, "plan", "--detailed-exitcode"); code != cli.ExitWork {
		t.Errorf("with work: exit %d", code)
	}
	if code, _, _ := w.env.Run(t, "plan", "--detailed-exitcode", "idle", "--job", "trim"); code != cli.ExitOK {
		t.Errorf("without work: exit %d", code)
	}
	// As tables write it, so may an argument.
	mustDo(t, w.client.SAdd(t.Context(), "streams", "bad\xff").Err())
	for range 700 {
		mustDo(t, w.client.XAdd(t.Context(), &redis.XAddArgs{Stream: "stream:bad\xff", Values: []any{"id", 1, "data", "x"}}).Err())
	}
	for _, pattern := range []string{`bad\xff`, `b*\xff`} {
		if out := w.env.MustRun(t, "plan", pattern, "--job", "trim"); !strings.Contains(out, ": 1 stream.\n") {
			t.Errorf("plan %s\n%s", pattern, out)
		}
	}
	out = w.env.MustRun(t, "plan", `"dead"`, "no such stream")
	if first, _, _ := strings.Cut(out, "\n"); !strings.HasSuffix(first, ": 1 stream, 1 session.") || !strings.Contains(out, "No stream matches no such stream.") {
		t.Errorf("of one stream, and of none:\n%s", out)
	}
	out = w.env.MustRun(t, "plan", "nobody*")
	if first, _, _ := strings.Cut(out, "\n"); !strings.HasSuffix(first, ": 0 streams, 0 sessions.") || !strings.Contains(out, "no stream matches nobody*.") {
		t.Errorf("of no stream:\n%s", out)
	}
	if code, _, errs := w.env.Run(t, "plan", "--job", "inspect"); code != cli.ExitUsage || !strings.Contains(errs, "want trim or cleanup") {
		t.Errorf("another job: exit %d, %s", code, errs)
	}
}

func TestMetricsAreLeftWhereSettingsSay(t *testing.T) {
	t.Parallel()
	w := startFixture(t, "object")
	gateway := startGateway(t)
	dir := t.TempDir()
	file := filepath.Join(dir, "url")
	mustDo(t, os.WriteFile(file, []byte(gateway.url("me:hush@")+"\n"), 0o600))
	w.env["PUSH_URL_FILE"], w.env["METRICS_FILE"] = file, filepath.Join(dir, "sk.prom")
	w.env.MustRun(t, "once", "trim")
	if p := gateway.pushed(groupOfTrim); p.user != "me" {
		t.Errorf("pushed by %q", p.user)
	}
	if _, err := os.Stat(w.env["METRICS_FILE"]); err != nil {
		t.Error(err)
	}
	other := startGateway(t)
	w.env.MustRun(t, "once", "trim", "--push", other.url("you:hush@"))
	if p := other.pushed(groupOfTrim); p.user != "you" {
		t.Errorf("the flag does not outrank the file: %+v", p)
	}
	delete(w.env, "PUSH_URL_FILE")
	w.env["PUSH_URL"] = gateway.url("env:hush@")
	w.env.MustRun(t, "once", "trim")
	if p := gateway.pushed(groupOfTrim); p.user != "env" {
		t.Errorf("pushed by %s", p.user)
	}
	if out := w.env.MustRun(t, "config"); strings.Contains(out, "hush") || !strings.Contains(out, "env:***@") {
		t.Errorf("config shows it:\n%s", out)
	}
	for _, c := range []struct {
		env  program.Env
		args []string
		says string
	}{
		{program.Env{"METRICS_FILE": "/tmp/metrics.txt"}, nil, `STREAMKEEPER_METRICS_FILE="/tmp/metrics.txt": node_exporter's textfile collector reads files *.prom alone`},
		{nil, []string{"--metrics-file", "m"}, `--metrics-file="m": node_exporter's`},
		{nil, []string{"--push", "ftp://me:hush@x"}, `--push="ftp://me:***@x": not a URL of HTTP; allowed: http://host:port`},
		{program.Env{"PUSH_URL_FILE": file, "PUSH_URL": "http://x"}, nil, "STREAMKEEPER_PUSH_URL is set too"},
		{program.Env{"PUSH_URL_FILE": os.DevNull}, nil, "is a pipe or a device"},
	} {
		env := program.Env{"REDIS_URL": w.server.URL()}
		maps.Copy(env, c.env)
		code, out, errs := env.Run(t, append([]string{"once", "trim"}, c.args...)...)
		if code != cli.ExitUsage || !strings.Contains(errs, c.says) || strings.Contains(out+errs, "hush") {
			t.Errorf("%v %v: exit %d\n%s%s", c.env, c.args, code, out, errs)
		}
	}
}

func TestHelpVersionAndCompletionAreWhereOneLooks(t *testing.T) {
	t.Parallel()
	w := startFixture(t, "object")
	_, help, _ := w.env.Run(t, "--help")
	if !strings.Contains(help, "completion") || !strings.Contains(help, "docs/settings.md") || !strings.Contains(help, "--version") {
		t.Errorf("the help:\n%s", help)
	}
	for line := range strings.Lines(help) {
		command, _, _ := strings.Cut(strings.TrimSpace(line), " ")
		if !strings.HasPrefix(line, "  ") || command == "streamkeeper" || strings.HasPrefix(command, "-") {
			continue
		}
		code, of, _ := w.env.Run(t, command, "--help")
		if code != 0 || !strings.Contains(of, "Examples:\n") || !strings.Contains(of, "docs/settings.md") {
			t.Errorf("%s --help has no example, or does not say where settings are described:\n%s", command, of)
		}
		_, flags, _ := strings.Cut(of, "Flags:\n")
		flags, _, _ = strings.Cut(flags, "\n\n")
		for flag := range strings.Lines(flags) {
			if n := len(strings.TrimSuffix(flag, "\n")); n > 80 {
				t.Errorf("%s --help: %d columns: %s", command, n, flag)
			}
		}
	}
	if v, version := w.env.MustRun(t, "--version"), w.env.MustRun(t, "version"); v != version || !strings.HasPrefix(v, "streamkeeper ") {
		t.Errorf("%q and %q", v, version)
	}
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		w.env.MustRun(t, "completion", shell)
		if of := w.env.MustRun(t, "completion", shell, "--help"); !strings.Contains(of, "Examples:\n") {
			t.Errorf("completion %s --help has no example:\n%s", shell, of)
		}
	}
	if of := w.env.MustRun(t, "help", "once"); of != w.env.MustRun(t, "once", "--help") {
		t.Errorf("help once is not once --help:\n%s", of)
	}
	for _, wrong := range [][]string{{"completion", "nope"}, {"completion"}, {"completion", "bash", "more"}, {"help", "nope"}, {"nope"}} {
		if code, out, errs := w.env.Run(t, wrong...); code != cli.ExitUsage || out != "" || errs == "" {
			t.Errorf("%v: exit %d\n%s%s", wrong, code, out, errs)
		}
	}
	if offered := w.env.MustRun(t, "__complete", "once", ""); !strings.Contains(offered, "trim\n") || !strings.Contains(offered, "inspect\n") {
		t.Errorf("of jobs:\n%s", offered)
	}
	for _, command := range []string{"plan", "inspect"} {
		if offered := w.env.MustRun(t, "__complete", command, "b"); !strings.Contains(offered, "busy\n") || strings.Contains(offered, "idle") {
			t.Errorf("of streams:\n%s", offered)
		}
	}
	if code, _, errs := w.env.Run(t, "demo", "--for", "1x"); code != cli.ExitUsage || !strings.Contains(errs, "1d") {
		t.Errorf("a wrong duration: exit %d, %s", code, errs)
	}
}

func TestTheLogHasUnitsAndTheStartLineTheLimits(t *testing.T) {
	t.Parallel()
	w := startFixture(t, "object")
	d := program.Start(t, w.server.URL(), map[string]string{"LOG_FORMAT": "json", "TRIM_MAX_LENGTH": "1000", "TRIM_MAX_AGE": "1d",
		"METRICS_FILE": "/no/such/folder/m.prom", "PUSH_URL": "http://me:hush@127.0.0.1:1"})
	program.Eventually(t, 20*time.Second, "it works", func() bool { return d.Runs("trim") > 0 })
	log := d.Log.String()
	if !strings.Contains(log, `"msg":"settings without effect","settings":["METRICS_FILE","PUSH_URL"]`) || strings.Contains(log, "hush") {
		t.Errorf("what only once uses is not named, or a secret is:\n%s", log)
	}
	if !strings.Contains(log, `"limits":["all streams: keep the newest 1000 entries that are not older than 24h`) {
		t.Errorf("the start line:\n%s", log)
	}
	for line := range strings.Lines(log) {
		if _, after, found := strings.Cut(line, `"duration":`); found && !strings.HasPrefix(after, `"`) {
			t.Errorf("a duration without a unit: %s", line)
		}
	}
}

func TestAPlanSaysOnceThatANodeIsAway(t *testing.T) {
	t.Parallel()
	c := redistest.StartCluster(t, 3, false)
	for _, master := range c.Masters {
		mustDo(t, master.Client.ConfigSet(t.Context(), "cluster-require-full-coverage", "no").Err())
	}
	c.Masters[2].Kill()
	env := program.Env{"REDIS_URL": c.URL(), "REDIS_TIMEOUT": "2s"}
	code, out, errs := env.Run(t, "plan")
	if code != cli.ExitFailure || strings.Count(out, "Failed: ") != 1 || !strings.Contains(out, "streams and sessions could not be read.") || strings.Count(errs, c.Masters[2].Addr) != 1 {
		t.Errorf("exit %d\n%s%s", code, out, errs)
	}
}
