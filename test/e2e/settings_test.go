package e2e

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/streamkeeper/streamkeeper/internal/cli"
	"github.com/streamkeeper/streamkeeper/internal/program"
	"github.com/streamkeeper/streamkeeper/internal/redistest"
)

// Values that settings are tried with: usual ones, both ends of what is allowed,
// what lies beyond, and what only looks like one.
var (
	someSwitches  = []string{"true", "false", "1", "maybe"}
	someAges      = []string{"0", "1ns", "1ms", "59s", "1m", "10m", "1h", "1d", "30d", "3650d", "3651d", "2562047h", "-1s", "5"}
	someSchedules = []string{"@every 1s", "@every 1.5s", "@every 999ms", "@every 366d", "@every 367d", "@every 2562047h", "* * * * * *", "@hourly", "0 0 30 2 *", "0 0 29 2 *", "*/5 9-17 * * 1-5", "x"}
	someCounts    = []string{"0", "1", "9", "10", "100", "10000", "100000", "9223372036854775807", "9223372036854775808", "-1"}
	someSizes     = []string{"0", "1", "1KiB", "64MiB", "1GiB", "1TiB", "2TiB", "8388607TiB", "x"}
	someShares    = []string{"0", "0.000001", "0.5", "1", "1.1", "NaN"}
	somePatterns  = []string{"*", "busy", "b*", `"busy"`, "bu?y", "[", `"never`, "a;b", "nothing, busy", ","}
)

// settingValues are by the settings' names. Nil is for those that say where Redis
// is and who asks: they have tests of their own.
var settingValues = map[string][]string{
	"REDIS_URL": nil, "REDIS_USERNAME": nil, "REDIS_PASSWORD": nil, "REDIS_PASSWORD_FILE": nil,
	"REDIS_SENTINEL_USERNAME": {"x"}, "REDIS_SENTINEL_PASSWORD": {"x"}, "REDIS_SENTINEL_PASSWORD_FILE": {"/no/such/file"},
	"REDIS_TLS_CA_FILE": nil, "REDIS_TLS_CERT_FILE": nil, "REDIS_TLS_KEY_FILE": nil, "REDIS_TLS_SERVER_NAME": nil,
	"REDIS_TIMEOUT": {"1s", "5s", "10m", "11m", "300000h", "0"}, "REDIS_ALLOW_REPLICA": someSwitches,
	"STREAMS_KEY": {"streams", "other"}, "STREAM_PREFIX": {"stream:", "s:", "sessions"}, "SESSIONS_KEY": {"sessions", "registry", "streams"},
	"SESSIONS_LAYOUT": {"auto", "keys", "object", "fields", "keys,object", "auto,keys"}, "SESSIONS_FOREIGN": {"keep", "expire", "x"},
	"STREAMS_INCLUDE": somePatterns, "STREAMS_EXCLUDE": {"nothing", "none*", "a;b", `"a;b"`, "busy"}, "STATE_PREFIX": {"streamkeeper:", "own ", "stream:"},
	"TRIM_ENABLED": someSwitches, "TRIM_SCHEDULE": someSchedules, "TRIM_MAX_LENGTH": someCounts, "TRIM_MAX_AGE": someAges, "TRIM_EXACT": someSwitches,
	"TRIM_MAX_BYTES": someSizes, "TRIM_POLICIES": {"b*: max_length=20", "busy: max_age=2562047h", "busy: keep=all", "busy: min_age=3650d", "busy: max_length=9223372036854775807", "x"},
	"TRIM_POLICIES_FILE": {"/no/such/file"}, "TRIM_ALLOW_TINY": someSwitches, "TRIM_MAX_STALL": {"1µs", "1ms", "1s", "2s", "0"}, "TRIM_MIN_AGE": someAges,
	"TRIM_PRESSURE": someShares, "TRIM_RESPECT_GROUPS": someSwitches, "TRIM_GROUP_IDLE_AFTER": someAges,
	"CLEANUP_ENABLED": someSwitches, "CLEANUP_SCHEDULE": someSchedules, "CLEANUP_EXPIRE_AFTER": someAges, "CLEANUP_ABANDON_AFTER": someAges,
	"CLEANUP_RETIRE_AFTER": someAges, "CLEANUP_ALLOW_TINY": someSwitches, "CLEANUP_FLOWING": someSwitches, "CLEANUP_UNDO_FOR": someAges,
	"CLEANUP_UNDO_MAX_BYTES": someSizes, "CLEANUP_BRAKE": someShares, "CLEANUP_BRAKE_MIN": someCounts, "CLEANUP_BRAKE_HOLD": someAges, "CLEANUP_SCAN": someSwitches,
	"HISTORY_LENGTH": someCounts, "INSPECT_ENABLED": someSwitches, "INSPECT_SCHEDULE": someSchedules, "INSPECT_SAMPLES": someCounts, "INSPECT_MAX_BYTES": someSizes,
	"INSPECT_ENCODING": {"auto", "frame", "block", "lz4"}, "INSPECT_MAX_BURST": someSizes,
	"METRICS_INTERVAL": {"1s", "30s", "24h", "25h", "300000h", "1ms"}, "METRICS_FILE": {""}, "PUSH_URL": {""}, "PUSH_URL_FILE": {""},
	"LISTEN": nil, "METRICS_STREAMS": someCounts, "LEASE_ENABLED": someSwitches, "LEASE_TTL": {"100ms", "1s", "1h", "2h", "300000h", "1ms"},
	"LOG_LEVEL": {"debug", "info", "warn", "error", "x"}, "LOG_FORMAT": {"auto", "text", "json", "xml"}, "SHUTDOWN_GRACE": {"1ms", "2s", "20s", "1h", "2h", "300000h", "0"},
}

// Whatever config accepts, the other commands accept, and behave by. SETTINGS_TRIALS
// makes it long, and SEED repeats one.
func TestWhateverConfigAcceptsTheOthersAccept(t *testing.T) {
	t.Parallel()
	names := knownSettings(t)
	seed := envNumber("SEED", int(time.Now().UnixNano()%1_000_000))
	rng := rand.New(rand.NewPCG(uint64(seed), 17))
	s := redistest.Start(t)
	accepted, tried := 0, 0
	for trials := envNumber("SETTINGS_TRIALS", 6); accepted < trials && tried < 50*trials; tried++ {
		env := program.Env{"REDIS_URL": s.URL()}
		for range 1 + rng.IntN(8) {
			name := names[rng.IntN(len(names))]
			if values := settingValues[name]; len(values) > 0 {
				env[name] = values[rng.IntN(len(values))]
			}
		}
		t.Run(fmt.Sprintf("seed %d, trial %d", seed, tried), func(t *testing.T) {
			if code, _, errs := env.Run(t, "config"); code == cli.ExitUsage {
				if strings.Contains(errs, "panic") {
					t.Errorf("%v\n%s", env, errs)
				}
				return
			} else if code != cli.ExitOK {
				t.Errorf("config with %v: exit %d\n%s", env, code, errs)
			}
			accepted++
			acceptedByAll(t, s, env)
		})
	}
	t.Logf("seed %d: %d of %d accepted", seed, accepted, tried)
}

// What go-redis would take, and what we would not survive, no command takes.
func TestParametersOfTheURLThatAreNotOursAreRefusedByEveryCommand(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	fillStream(t, s)
	for _, c := range []struct{ path, want string }{
		{"/0?max_retries=-2", "max_retries: allowed: -1 to 10"},
		{"/0?pool_size=-5", "pool_size: allowed: 1 to 1000"},
		{"/0?client_name=", "allowed: addr, "},
		{"/0?read_timeout=1ns", "allowed: addr, "},
		{"/-1", "database"},
		{"/?db=-3", "db: allowed: 0 to"},
		{"/0?db=1", "different databases"},
	} {
		env := program.Env{"REDIS_URL": "redis://" + s.Addr + c.path, "TRIM_MAX_LENGTH": "10"}
		for _, args := range [][]string{{"run"}, {"once"}, {"once", "--dry-run"}, {"plan"}, {"config"}} {
			if code, _, errs := env.Run(t, args...); code != cli.ExitUsage || !strings.Contains(errs, "REDIS_URL") || !strings.Contains(errs, c.want) {
				t.Errorf("%v with %s: exit %d\n%s", args, c.path, code, errs)
			}
		}
	}
	if n := s.Client.XLen(t.Context(), fleetKey).Val(); n != 3*fleetLimit {
		t.Errorf("%d entries are left", n)
	}
}

// knownSettings are all settings; each has to have values to be tried with.
func knownSettings(t *testing.T) (names []string) {
	t.Helper()
	var rows []struct{ Setting string }
	mustDo(t, json.Unmarshal([]byte(program.Env{}.MustRun(t, "config", "-o", "json")), &rows))
	for _, row := range rows {
		if _, ok := settingValues[row.Setting]; !ok {
			t.Errorf("%s is not tried: give it values", row.Setting)
		}
		names = append(names, row.Setting)
	}
	return names
}

// busyEntries are in the stream, a second apart, and the sessions of it are live.
const busyEntries = 600

func acceptedByAll(t *testing.T, s *redistest.Server, env program.Env) {
	t.Helper()
	fill := func() {
		ctx := t.Context()
		mustDo(t, s.Client.FlushAll(ctx).Err())
		pipe := s.Client.Pipeline()
		names := setOr(env, "STREAMS_KEY", "streams")
		key := setOr(env, "STREAM_PREFIX", "stream:") + "busy"
		pipe.SAdd(ctx, names, "busy")
		for i := range busyEntries {
			at := time.Now().Add(-time.Duration(busyEntries-i) * time.Second).UnixMilli()
			pipe.XAdd(ctx, &redis.XAddArgs{Stream: key, ID: fmt.Sprint(at), Values: []any{"id", "1", "data", "some bytes"}})
		}
		pipe.HSet(ctx, setOr(env, "SESSIONS_KEY", "sessions"), "live", fmt.Sprintf(`{"streamName":"busy","lastUpdated":%d,"json":"{}"}`, time.Now().UnixMilli()))
		_, err := pipe.Exec(ctx)
		mustDo(t, err)
	}
	// A live session expires only under limits that nobody means.
	ordinary := func(code int) bool { return code == cli.ExitOK || code == cli.ExitBrake }
	fill()
	if code, out, errs := env.Run(t, "plan"); code != cli.ExitOK || strings.Contains(errs, "panic") {
		t.Errorf("plan with %v: exit %d\n%s%s", env, code, out, errs)
	}
	if code, out, errs := env.Run(t, "once"); !ordinary(code) || strings.Contains(errs, "panic") {
		t.Errorf("once with %v: exit %d\n%s%s", env, code, out, errs)
	}
	keepsItsWord(t, s, env, "once")
	fill()
	runsAWhile(t, env)
	keepsItsWord(t, s, env, "run")
}

func setOr(env program.Env, name, byDefault string) string {
	if value := env[name]; value != "" {
		return value
	}
	return byDefault
}

// keepsItsWord checks what is left of the stream against what settings say for
// certain.
func keepsItsWord(t *testing.T, s *redistest.Server, env program.Env, command string) {
	t.Helper()
	n := s.Client.XLen(t.Context(), setOr(env, "STREAM_PREFIX", "stream:")+"busy").Val()
	limit, err := strconv.ParseInt(setOr(env, "TRIM_MAX_LENGTH", "10000"), 10, 64)
	mustDo(t, err)
	enabled, _ := strconv.ParseBool(setOr(env, "TRIM_ENABLED", "true"))
	plain := env["TRIM_POLICIES"] == "" && env["TRIM_MAX_AGE"] == "" && env["TRIM_MIN_AGE"] == "" && env["TRIM_MAX_BYTES"] == "" && env["TRIM_PRESSURE"] == ""
	theirs := env["STREAMS_EXCLUDE"] == "busy" || slices.Contains([]string{"[", "x"}, env["STREAMS_INCLUDE"])
	switch {
	case !enabled || theirs:
		if n != busyEntries {
			t.Errorf("%s with %v left %d entries of %d, and is to trim nothing", command, env, n, busyEntries)
		}
	case plain && limit > 0 && n < min(limit, busyEntries):
		t.Errorf("%s with %v left %d entries, and is to keep %d", command, env, n, limit)
	case plain && limit > 0 && command == "once" && n-100 > max(limit, 1):
		t.Errorf("%s with %v left %d entries, and is to keep about %d", command, env, n, limit)
	case plain && limit == 0 && n != busyEntries:
		t.Errorf("%s with %v left %d entries, without a limit", command, env, n)
	}
}

// runsAWhile has the daemon answer, and end within its grace.
func runsAWhile(t *testing.T, env program.Env) {
	t.Helper()
	env = maps.Clone(env)
	env["LISTEN"] = program.FreeAddress(t)
	cmd, errs := begun(t, env, nil, "run")
	program.Eventually(t, 10*time.Second, "the daemon answers", func() bool {
		answer, err := http.Get("http://" + env["LISTEN"] + "/")
		if err == nil {
			_ = answer.Body.Close()
		}
		return err == nil && answer.StatusCode == http.StatusOK
	})
	time.Sleep(300 * time.Millisecond) // for the first runs of some jobs
	code := endsAtOnce(t, cmd, 10*time.Second)
	short := env["SHUTDOWN_GRACE"] == "1ms" // no time to end in
	if code != cli.ExitOK && !short || strings.Contains(errs.String(), "panic") {
		t.Errorf("run with %v: exit %d\n%s", env, code, errs)
	}
}
