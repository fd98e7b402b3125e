package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/streamkeeper/streamkeeper/internal/cli"
	"github.com/streamkeeper/streamkeeper/internal/golden"
	"github.com/streamkeeper/streamkeeper/internal/settings"
)

// setEnvironment leaves of our variables and the Stream Service's only the given
// ones, each "NAME=value", for the length of the test.
func setEnvironment(t *testing.T, variables ...string) {
	t.Helper()
	for _, pair := range os.Environ() {
		name, _, _ := strings.Cut(pair, "=")
		if upper := strings.ToUpper(name); strings.HasPrefix(upper, settings.Prefix+"_") || strings.HasPrefix(upper, "RTA_") {
			t.Setenv(name, "") // so that it comes back afterwards
			if err := os.Unsetenv(name); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, pair := range variables {
		name, value, _ := strings.Cut(pair, "=")
		t.Setenv(name, value)
	}
}

func mustLoad(t *testing.T, variables ...string) *Config {
	t.Helper()
	setEnvironment(t, variables...)
	c, err := loadConfig()
	if err != nil {
		t.Fatalf("loadConfig with %q: %v", variables, err)
	}
	return c
}

// defaults is what holds where nothing is set.
func defaults() *Config {
	c := new(Config)
	c.table().Reset()
	return c
}

// printed is what streamkeeper writes to stdout in this environment.
func printed(t *testing.T, args ...string) string {
	t.Helper()
	var out, errs strings.Builder
	p := cli.Program{Load: load, Stdin: strings.NewReader(""), Stdout: &out, Stderr: &errs}
	if code := p.Run(t.Context(), args); code != cli.ExitOK {
		t.Fatalf("exit %d: %s", code, errs.String())
	}
	return out.String()
}

// faultsOf loads the configuration, which must fail, and returns the faults.
func faultsOf(t *testing.T, variables ...string) []string {
	t.Helper()
	setEnvironment(t, variables...)
	_, err := loadConfig()
	var faults settings.ConfigErrors
	if !errors.As(err, &faults) {
		t.Fatalf("loadConfig with %q gave %v, want faults", variables, err)
	}
	return faults
}

// configRow is a setting as it is shown.
type configRow struct{ Setting, Value, Source string }

func rowOf(r settings.Shown) configRow { return configRow{r.Setting, r.Value, r.Source} }

func row(t *testing.T, c *Config, setting string) configRow {
	t.Helper()
	for _, r := range c.table().Show() {
		if r.Setting == setting {
			return rowOf(r)
		}
	}
	t.Fatalf("no row for %s", setting)
	return configRow{}
}

func TestDefaultsAreTheDocumentedOnes(t *testing.T) {
	setEnvironment(t)
	got := printed(t, "config")
	golden.Compare(t, filepath.Join("testdata", "config", "defaults.txt"), got)
}

// leaves counts the fields that hold a setting.
func leaves(v reflect.Type) int {
	if reflect.PointerTo(v).Implements(reflect.TypeFor[settings.Field]()) {
		return 1
	}
	n := 0
	for f := range v.Fields() {
		n += leaves(f.Type)
	}
	return n
}

func TestEveryFieldOfConfigIsListedAndReadFromItsVariable(t *testing.T) {
	c := defaults()
	if got, want := len(c.table()), leaves(reflect.TypeFor[Config]()); got != want {
		t.Errorf("%d settings are listed, Config has %d", got, want)
	}
	var variables []string
	for _, name := range c.table().Names() {
		variables = append(variables, settings.Prefix+"_"+name+"=?")
	}
	setEnvironment(t, variables...)
	c, _ = loadConfig()
	for _, e := range c.table() {
		if got := e.Field.Origin(); got != settings.OriginEnvironment {
			t.Errorf("%s comes from %s, want it from the environment", e.Name, got)
		}
	}
}

func TestVariablesWithoutThePrefixAreNotRead(t *testing.T) {
	c := mustLoad(t, "REDIS_URL=redis://elsewhere:6379/0", "LISTEN=:1", "URL=x", "TRIM_MAX_LENGTH=77")
	for _, r := range c.table().Show() {
		if r.Source != settings.OriginDefault {
			t.Errorf("%s comes from %s", r.Setting, r.Source)
		}
	}
}

func TestEmptyValuesMeanTheDefaultExceptForListen(t *testing.T) {
	c := defaults()
	var variables []string
	for _, name := range c.table().Names() {
		variables = append(variables, settings.Prefix+"_"+name+"=")
	}
	got := mustLoad(t, variables...)
	for i, r := range got.table().Show() {
		want := rowOf(c.table().Show()[i])
		if r.Setting == "LISTEN" {
			want = configRow{"LISTEN", "", settings.OriginEnvironment}
		}
		if rowOf(r) != want {
			t.Errorf("got %v, want %v", r, want)
		}
	}
}

func TestValuesAreReadInTheirOwnSyntax(t *testing.T) {
	for _, test := range []struct{ variable, shown string }{
		{"TRIM_ENABLED=0", "false"},
		{"TRIM_MAX_LENGTH=0", "0"},
		{"TRIM_MAX_LENGTH=10", "10"},
		{"TRIM_MAX_AGE=90m", "1h30m"},
		{"TRIM_MAX_AGE=7d", "168h"},
		{"TRIM_SCHEDULE=@every 1d", "@every 1d"},
		{"TRIM_POLICIES=a: max_age=1d", "a: max_age=1d"},
		{"TRIM_MAX_LENGTH= 10\n", "10"},
		{"LISTEN=\n", ""},
		{"TRIM_MAX_AGE=36h0m30s", "36h0m30s"},
		{"TRIM_MAX_STALL=500us", "500µs"},
		{"TRIM_SCHEDULE=0 */5 * * * *", "0 */5 * * * *"},
		{"INSPECT_MAX_BYTES=1GiB", "1GiB"},
		{"INSPECT_MAX_BYTES=16MB", "15625KiB"},
		{"INSPECT_MAX_BYTES=65537", "65537"},
		{"CLEANUP_BRAKE=1", "1"},
		{"SESSIONS_LAYOUT=keys, OBJECT,keys", "keys,object"},
		{"SESSIONS_FOREIGN=Expire", "expire"},
		{`STREAMS_INCLUDE=rocket-*,"odd, name"`, `rocket-*, "odd, name"`},
		{"LISTEN=[::1]:0", "[::1]:0"},
		{"LOG_LEVEL=WARN", "warn"},
		{"INSPECT_ENCODING=size-prefixed-block", "size-prefixed-block"},
		{"REDIS_URL=unix:///run/redis.sock?db=3", "unix:///run/redis.sock?db=3"},
		{"REDIS_URL=redis://a:26379/1?master_name=m&addr=b:26379", "redis://a:26379/1?master_name=m&addr=b:26379"},
		{"STREAM_PREFIX=\xff:", `\xff:`},
		{`STREAM_PREFIX=a\b`, `a\b`},
	} {
		t.Run(test.variable, func(t *testing.T) {
			c := mustLoad(t, settings.Prefix+"_"+test.variable)
			name, _, _ := strings.Cut(test.variable, "=")
			if got, want := row(t, c, name), (configRow{name, test.shown, settings.OriginEnvironment}); got != want {
				t.Errorf("got %v, want %v", got, want)
			}
		})
	}
}

func TestTinyLimitsPassWhenAllowed(t *testing.T) {
	c := mustLoad(t, "STREAMKEEPER_TRIM_MAX_LENGTH=1", "STREAMKEEPER_TRIM_MAX_AGE=1s", "STREAMKEEPER_TRIM_ALLOW_TINY=true")
	if c.Trim.MaxLength.Value != 1 || c.Trim.MaxAge.Value != time.Second {
		t.Errorf("got %s and %s, want 1 and 1s", c.Trim.MaxLength, c.Trim.MaxAge)
	}
}

func TestTinyLimitsOfCleanupPassWhenAllowed(t *testing.T) {
	for variable, allowed := range map[string]string{
		"CLEANUP_EXPIRE_AFTER=10m": "false", "CLEANUP_RETIRE_AFTER=10m": "false", "CLEANUP_ABANDON_AFTER=1m": "false", "CLEANUP_ABANDON_AFTER=0": "false",
		"CLEANUP_EXPIRE_AFTER=1s": "true", "CLEANUP_RETIRE_AFTER=1s": "true", "CLEANUP_ABANDON_AFTER=1s": "true",
	} {
		mustLoad(t, "STREAMKEEPER_"+variable, "STREAMKEEPER_CLEANUP_ALLOW_TINY="+allowed)
	}
}

func TestSessionsAreJudgedByTheirTimeAloneWhereFlowingIsOff(t *testing.T) {
	for value, want := range map[string]bool{"": false, "true": false, "false": true} {
		o, err := mustLoad(t, "STREAMKEEPER_CLEANUP_FLOWING="+value).options()
		if err != nil || o.Jobs.Cleanup.TimeAlone != want {
			t.Errorf("%q: by time alone %t, %v", value, o.Jobs.Cleanup.TimeAlone, err)
		}
	}
}

func TestFlagsOutrankTheEnvironment(t *testing.T) {
	setEnvironment(t, "STREAMKEEPER_REDIS_URL=http://wrong", "RTA_RedisConnectionString=nowhere")
	c, err := loadConfig(settings.Override{Name: "REDIS_URL", Text: "redis://flag:6379/0", Origin: "--redis-url"})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := row(t, c, "REDIS_URL"), (configRow{"REDIS_URL", "redis://flag:6379/0", "--redis-url"}); got != want {
		t.Errorf("got %v, want %v", got, want)
	}
	if _, err := loadConfig(settings.Override{Name: "REDIS_URI", Text: "redis://flag:6379/0", Origin: "--redis-url"}); err == nil {
		t.Error("a flag for an unknown setting passed")
	}
}

func TestAFaultOfAFlagNamesTheFlag(t *testing.T) {
	setEnvironment(t)
	_, err := loadConfig(settings.Override{Name: "REDIS_URL", Text: "redis://u:hush@h:x/0", Origin: "--redis-url"})
	want := `--redis-url="redis://***": the port is not a number from 1 to 65535; allowed: `
	if err == nil || !strings.HasPrefix(err.Error(), want) {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}

func TestSettingsAreShownAsJSON(t *testing.T) {
	setEnvironment(t, "STREAMKEEPER_REDIS_URL=redis://u:hush@h:6379/0?pool_size=7&addr=b:1")
	var rows []map[string]string
	if err := json.Unmarshal([]byte(printed(t, "config", "-o", "json")), &rows); err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		"setting": "REDIS_URL", "value": "redis://u:***@h:6379/0?pool_size=7&addr=b:1", "source": "environment", "help": "where Redis is",
	}
	if !reflect.DeepEqual(rows[0], want) {
		t.Errorf("got %v, want %v", rows[0], want)
	}
}

func TestEachSettingIsDescribed(t *testing.T) {
	setEnvironment(t)
	text := printed(t, "config", "--describe")
	for _, r := range defaults().table() {
		if want := r.Name + "=" + r.Field.String() + " (default)\n    " + r.Help + "\n"; r.Help == "" || !strings.Contains(text, want) {
			t.Errorf("%q is not in\n%s", want, text)
		}
	}
}

func TestSecretsAreNeverShown(t *testing.T) {
	const secret = "hush4711"
	for _, variables := range [][]string{
		{"STREAMKEEPER_REDIS_PASSWORD=" + secret, "STREAMKEEPER_REDIS_SENTINEL_PASSWORD=" + secret},
		{"STREAMKEEPER_REDIS_URL=redis://user:" + secret + "@host:6379/0"},
		{"STREAMKEEPER_REDIS_URL=redis://:" + secret + "@host:6379/0"},
		{"STREAMKEEPER_REDIS_URL=redis://user:a/" + secret + "@host:6379/0"},
		{"STREAMKEEPER_REDIS_URL=redis://user:1/" + secret + "@host:6379/0"},
		{"STREAMKEEPER_REDIS_URL=redis://user:1?" + secret + "@host:6379/0"},
		{"STREAMKEEPER_REDIS_URL=redis://user:1?db=" + secret + "@host:6379/0"},
		{"STREAMKEEPER_REDIS_URL=redis://user:1#" + secret + "@host:6379/0"},
		{"STREAMKEEPER_REDIS_URL=redis://user:@" + secret + "@host:6379/0"},
		{"STREAMKEEPER_REDIS_URL=redis://:" + secret},
		{"STREAMKEEPER_REDIS_URL=redis://host?sentinel_password=" + secret},
		{"STREAMKEEPER_REDIS_URL=redis://host?db=0;password=" + secret},
		{"STREAMKEEPER_REDIS_URL=redis://host,password=" + secret},
		{"STREAMKEEPER_REDIS_URL=redis://host/0,password=" + secret},
		{"STREAMKEEPER_REDIS_URL=redis://host/0?db=0,password=" + secret},
		{"STREAMKEEPER_REDIS_URL=host:6379,password=" + secret},
		{"STREAMKEEPER_REDIS_URL=" + secret},
		{"STREAMKEEPER_REDIS_URL=host:" + secret},
		{"STREAMKEEPER_REDIS_URL=redis://host:" + secret + "/0"},
		{"STREAMKEEPER_REDIS_URL=redis://host/0?pwd=" + secret},
		{"STREAMKEEPER_REDIS_URL=redis://host/0?" + secret},
		{"STREAMKEEPER_REDIS_URL=redis://host/0?" + secret + "="},
		{"STREAMKEEPER_REDIS_URL=redis://host/0?db=1&" + secret},
		{"STREAMKEEPER_REDIS_URL=redis://host/0?%70wd=" + secret},
		{"STREAMKEEPER_REDIS_URL=redis://host/0#" + secret},
		{"STREAMKEEPER_REDIS_URL=redis://host/0\n" + secret},
		{"STREAMKEEPER_PUSH_URL=h:" + secret},
		{"STREAMKEEPER_PUSH_URL=http://h:" + secret},
		{"STREAMKEEPER_PUSH_URL=http://h/?" + secret},
		{"STREAMKEEPER_PUSH_URL=http://h/?addr=" + secret},
		{"STREAMKEEPER_PUSH_URL=http://h/?token=" + secret},
		{"STREAMKEEPER_PUSH_URL=http://h/#" + secret},
		{"STREAMKEEPER_REDIS_URL=user:" + secret + "@host:6379"},
		{"STREAMKEEPER_REDIS_PASSWRD=" + secret},
		{"RTA_RedisConnectionString=host,password=" + secret},
		{"RTA_RedisConnectionString=host,password=a," + secret},
		{"RTA_RedisConnectionString=host,password=a," + secret + "=1"},
		{"RTA_RedisConnectionString=host,password=a,ssl=" + secret},
		{"RTA_RedisConnectionString=host,passwrd=" + secret},
		{"RTA_RedisConnectionString=redis://:" + secret + "@host"},
		{"RTA_RedisConnectionString=redis://:" + secret + "=@host"},
		{"RTA_RedisConnectionString=host1,host2,password=" + secret, "RTA_RedisDb=2"},
	} {
		t.Run(strings.Join(variables, " "), func(t *testing.T) {
			setEnvironment(t, variables...)
			c, err := loadConfig()
			inJSON, jsonErr := json.Marshal(c)
			if jsonErr != nil {
				t.Fatal(jsonErr)
			}
			for what, shown := range map[string]string{
				"error": fmt.Sprint(err), "rows": fmt.Sprint(c.table().Show()), "value": fmt.Sprintf("%v %+v %s", *c, c, *c), "JSON": string(inJSON),
			} {
				if strings.Contains(shown, secret) {
					t.Errorf("the %s holds the secret: %s", what, shown)
				}
			}
		})
	}
}

func TestSecretsAreUsable(t *testing.T) {
	c := mustLoad(t, "STREAMKEEPER_REDIS_PASSWORD=hush", "STREAMKEEPER_REDIS_URL=redis://u:p%40ss@h:6379/0")
	if c.Redis.Password.Value != "hush" || c.Redis.URL.Value != "redis://u:p%40ss@h:6379/0" {
		t.Error("a masked value took the place of the real one")
	}
}

func TestAllFaultsComeAtOnceInTheOrderOfTheSettings(t *testing.T) {
	got := faultsOf(t,
		"STREAMKEEPER_LOG_LEVEL=loud",
		"STREAMKEEPER_ZZZ=1",
		"STREAMKEEPER_REDIS_URL=http://host",
		"STREAMKEEPER_TRIM_MAX_LENGTH=5",
		"RTA_Trimmer__Interval=often",
		"STREAMKEEPER_TRIM_MAX_AGE=soon",
	)
	var names []string
	for _, fault := range got {
		name, _, _ := strings.Cut(fault, "=")
		name, _, _ = strings.Cut(name, ":")
		names = append(names, name)
	}
	want := []string{
		"STREAMKEEPER_REDIS_URL", "STREAMKEEPER_TRIM_MAX_LENGTH", "STREAMKEEPER_TRIM_MAX_AGE", "STREAMKEEPER_LOG_LEVEL",
		"RTA_Trimmer__Interval", "STREAMKEEPER_ZZZ",
	}
	if !slices.Equal(names, want) {
		t.Errorf("got %q, want %q", names, want)
	}
}

func TestBadValuesAreRefusedWithTheExactMessage(t *testing.T) {
	const (
		notDuration = `not a duration; allowed: numbers with the units ms, s, m, h and d, such as 90s, 1h30m or 7d`
		notListen   = `not an address; allowed: host:port such as :8080, 127.0.0.1:8080 or [::1]:8080, or empty for none`
		notEncoded  = `not a URL; characters such as / ? # @ , in a user or password must be percent-encoded`
		urlForms    = `; allowed: redis://host:6379/0, rediss://host:6379/0, unix:///path/redis.sock, ` +
			`with ?master_name=name&addr=host:port for Sentinel or ?addr=host:port for a cluster`
		webForms   = `; allowed: http://host:port or https://host:port, with a path`
		parameters = `; allowed: addr, conn_max_idle_time, conn_max_lifetime, db, master_name, max_retries, pool_size, pool_timeout, skip_verify`
	)
	for _, test := range []struct{ variable, want string }{
		{`REDIS_URL=localhost:6379`, `="localhost:6379": not a URL` + urlForms},
		{`REDIS_URL=http://host`, `="http://host": unknown scheme` + urlForms},
		{`REDIS_URL=redis://u:a/b@host`, `="redis://***": ` + notEncoded},
		{`REDIS_URL=redis://h?db=0&speed=9`, `="redis://h?db=0&speed=***": unknown parameter "speed"; allowed: addr, conn_max_idle_time, conn_max_lifetime, db, master_name, max_retries, pool_size, pool_timeout, skip_verify`},
		{`REDIS_URL=redis://127.0.0.1:abc/0`, `="redis://***": the port is not a number from 1 to 65535` + urlForms},
		{`REDIS_URL=redis://h:99999/0`, `="redis://***": the port is not a number from 1 to 65535` + urlForms},
		{`REDIS_URL=redis://u:p%40@h:0`, `="redis://***": the port is not a number from 1 to 65535` + urlForms},
		{`REDIS_URL=redis://a:1,b:2/0`, `="redis://***": several hosts joined by commas` + urlForms},
		{`REDIS_URL=redis://a:1,b:2/0?db=0`, `="redis://***": several hosts joined by commas` + urlForms},
		{`REDIS_URL=redis://h:1/0#x`, `="redis://***": a # begins a fragment, which is not allowed; in a user or password write it as %23` + urlForms},
		{"REDIS_URL=redis://h\n:1/0", `="redis://***": it contains a line end or another control character` + urlForms},
		{`REDIS_URL=redis://::1/0?master_name=m`, `="redis://***": an IPv6 address must stand in brackets, as in [::1]:6379` + urlForms},
		{`REDIS_URL=redis://h /0`, `="redis://***": it contains a space or another character that a URL cannot have; in a user or password it must be percent-encoded` + urlForms},
		{`REDIS_URL=redis://u:%zz@h/0`, `="redis://***": a % is not followed by two hexadecimal digits; write a % itself as %25` + urlForms},
		{`REDIS_URL=redis://h?db=0;db=1`, `="redis://***": parameters are separated by & only` + urlForms},
		{`REDIS_URL=h,password=x`, `="***": not a URL` + urlForms},
		{`REDIS_URL=redis://h/0,password=x`, `="redis://***": options after a comma belong to a StackExchange.Redis connection string: set RTA_RedisConnectionString to it` + urlForms},
		{`REDIS_URL=redis://h?pwd=x`, `="redis://h?pwd=***": unknown parameter "pwd"` + parameters},
		{`REDIS_URL=redis://h?S3CRET`, `="redis://h?***": a parameter that is unknown` + parameters},
		{`PUSH_URL=http://u:p@h:1/metrics?token=x`, `="http://u:***@h:1/metrics?token=***": a query (from ? on) is not allowed` + webForms},
		{`PUSH_URL=http://h/?S3CRET`, `="http://h/?***": a query (from ? on) is not allowed` + webForms},
		{`PUSH_URL=h:S3CRET`, `="***": not a URL` + webForms},
		{`PUSH_URL=http://h:S3CRET`, `="http://***": the port is not a number from 1 to 65535` + webForms},
		{`PUSH_URL=ftp://u:p@h`, `="ftp://u:***@h": not a URL of HTTP` + webForms},
		{`REDIS_URL=redis://h/2?addr=i:6379`, `="redis://h/2?addr=i:6379": several addresses are a cluster, which has database 0 only`},
		{`REDIS_TIMEOUT=0`, `="0": too small; allowed: 1ms or more`},
		{`REDIS_TIMEOUT=300000h`, `="300000h": too large; allowed: 10m or less`},
		{`REDIS_TIMEOUT=5`, `="5": ` + notDuration},
		{`REDIS_PASSWORD_FILE=/no/such/file`, `="/no/such/file": no such file or directory; allowed: the path of a file`},
		{`REDIS_PASSWORD_FILE=/dev/zero`, `="/dev/zero": is a pipe or a device; allowed: the path of a file`},
		{`REDIS_TLS_CA_FILE=/`, `="/": is a directory; allowed: the path of a file`},
		{`STREAMS_KEY=sessions:all`, `SESSIONS_KEY="sessions": shares keys with STREAMS_KEY ("sessions:all"); allowed: names that cannot meet`},
		{`STREAMS_KEY=stream:all`, `STREAM_PREFIX="stream:": shares keys with STREAMS_KEY ("stream:all"); allowed: names that cannot meet`},
		{`STREAM_PREFIX=streams`, `="streams": shares keys with STREAMS_KEY ("streams"); allowed: names that cannot meet`},
		{`STREAM_PREFIX=last`, `="last": shares keys with the producers' counter ("lastStreamSessionId"); allowed: names that cannot meet`},
		{`SESSIONS_KEY=streams`, `="streams": shares keys with STREAMS_KEY ("streams"); allowed: names that cannot meet`},
		{`SESSIONS_KEY=stream`, `="stream": shares keys with STREAM_PREFIX ("stream:"); allowed: names that cannot meet`},
		{`STATE_PREFIX=stream:`, `="stream:": shares keys with STREAM_PREFIX ("stream:"); allowed: names that cannot meet`},
		{`STATE_PREFIX=stream:keeper:`, `="stream:keeper:": shares keys with STREAM_PREFIX ("stream:"); allowed: names that cannot meet`},
		{`STATE_PREFIX=sessions:x`, `="sessions:x": shares keys with SESSIONS_KEY ("sessions:"); allowed: names that cannot meet`},
		{`STATE_PREFIX=s`, `="s": shares keys with STREAMS_KEY ("streams"); allowed: names that cannot meet`},
		{`SESSIONS_LAYOUT=hash`, `="hash": unknown; allowed: auto, keys, fields, object, or several joined by commas`},
		{`SESSIONS_FOREIGN=drop`, `="drop": unknown; allowed: keep, expire`},
		{`SESSIONS_LAYOUT=auto,keys`, `="auto,keys": auto with others; allowed: auto alone, or some of keys, fields, object joined by commas`},
		{`STREAMS_INCLUDE=,`, `=",": no pattern in it; allowed: globs and quoted names separated by commas, such as rocket-*, "odd, name"`},
		{`LISTEN=':8080'`, `="':8080'": the quotes around the value are part of it: take them off`},
		{`LISTEN=8080`, `="8080": ` + notListen},
		{`LISTEN=:http`, `=":http": ` + notListen},
		{`LISTEN=:65536`, `=":65536": ` + notListen},
		{`LISTEN=http://:8080`, `="http://:8080": ` + notListen},
		{`STREAMS_EXCLUDE=car;1`, `="car;1": pattern car;1: patterns are separated by commas alone; a ; of a name is written in quotes ("car;1") or as \;; ` +
			`allowed: globs and quoted names separated by commas, such as rocket-*, "odd, name"`},
		{`LEASE_TTL=2h`, `="2h": too large; allowed: 1h or less`},
		{`SHUTDOWN_GRACE=2h`, `="2h": too large; allowed: 1h or less`},
		{`LEASE_TTL=15ms`, `="15ms": too small; allowed: 100ms or more`},
		{`LOG_LEVEL=loud`, `="loud": unknown; allowed: debug, info, warn, error`},
		{`LOG_FORMAT=xml`, `="xml": unknown; allowed: auto, text, json`},
		{`SHUTDOWN_GRACE=0`, `="0": too small; allowed: more than 0`},
	} {
		t.Run(test.variable, func(t *testing.T) {
			name, _, _ := strings.Cut(test.variable, "=")
			want := settings.Prefix + "_" + name + test.want
			if test.want[0] != '=' {
				want = settings.Prefix + "_" + test.want
			}
			if got := faultsOf(t, settings.Prefix+"_"+test.variable); !slices.Equal(got, []string{want}) {
				t.Errorf("got  %q\nwant %q", got, want)
			}
		})
	}
}

func TestSettingsThatContradictEachOtherAreRefused(t *testing.T) {
	file := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(file, []byte("hush\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name      string
		variables []string
		want      string
	}{
		{
			"a password as text and as a file",
			[]string{"STREAMKEEPER_REDIS_PASSWORD=hush", "STREAMKEEPER_REDIS_PASSWORD_FILE=" + file},
			`STREAMKEEPER_REDIS_PASSWORD_FILE="` + file + `": STREAMKEEPER_REDIS_PASSWORD is set too; allowed: one of them`,
		},
		{
			"a certificate without its key",
			[]string{"STREAMKEEPER_REDIS_TLS_CERT_FILE=" + file},
			`STREAMKEEPER_REDIS_TLS_CERT_FILE="` + file + `": of no use alone; allowed: together with STREAMKEEPER_REDIS_TLS_KEY_FILE`,
		},
		{
			"a key without its certificate",
			[]string{"STREAMKEEPER_REDIS_TLS_KEY_FILE=" + file},
			`STREAMKEEPER_REDIS_TLS_KEY_FILE="` + file + `": of no use alone; allowed: together with STREAMKEEPER_REDIS_TLS_CERT_FILE`,
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := faultsOf(t, test.variables...); !slices.Equal(got, []string{test.want}) {
				t.Errorf("got  %q\nwant %q", got, test.want)
			}
		})
	}
}

func TestAFaultIsNotReportedAgainForASettingMeasuredByIt(t *testing.T) {
	got := faultsOf(t, "STREAMKEEPER_TRIM_MIN_AGE=x", "STREAMKEEPER_TRIM_PRESSURE=0.9",
		"STREAMKEEPER_TRIM_ALLOW_TINY=x", "STREAMKEEPER_TRIM_MAX_LENGTH=5",
		"STREAMKEEPER_REDIS_TLS_CERT_FILE=/no/cert", "STREAMKEEPER_REDIS_TLS_KEY_FILE=/no/key")
	if len(got) != 4 {
		t.Errorf("got %d faults, want 4: %q", len(got), got)
	}
}

func TestNoSettingLooksLikeWhatKubernetesInjects(t *testing.T) {
	table := defaults().table()
	for i, name := range table.Names() {
		others := slices.Delete(slices.Clone(table), i, i+1)
		if len(others.Unknown([]string{settings.Prefix + "_" + name + "=1"})) != 1 {
			t.Errorf("%s could be injected by Kubernetes", name)
		}
	}
}
