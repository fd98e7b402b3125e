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
)

// setEnvironment leaves of our variables and the Stream Service's only the given
// ones, each "NAME=value", for the length of the test.
func setEnvironment(t *testing.T, variables ...string) {
	t.Helper()
	for _, pair := range os.Environ() {
		name, _, _ := strings.Cut(pair, "=")
		if upper := strings.ToUpper(name); strings.HasPrefix(upper, envPrefix+"_") || strings.HasPrefix(upper, "RTA_") {
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

func mustLoad(t *testing.T, variables ...string) Config {
	t.Helper()
	setEnvironment(t, variables...)
	c, err := loadConfig()
	if err != nil {
		t.Fatalf("loadConfig with %q: %v", variables, err)
	}
	return c
}

// faultsOf loads the configuration, which must fail, and returns the faults.
func faultsOf(t *testing.T, variables ...string) []string {
	t.Helper()
	setEnvironment(t, variables...)
	_, err := loadConfig()
	var faults configError
	if !errors.As(err, &faults) {
		t.Fatalf("loadConfig with %q gave %v, want a configError", variables, err)
	}
	return faults.faults
}

func row(t *testing.T, c *Config, setting string) configRow {
	t.Helper()
	for _, r := range c.rows() {
		if r.Setting == setting {
			return r
		}
	}
	t.Fatalf("no row for %s", setting)
	return configRow{}
}

func TestDefaultsAreTheDocumentedOnes(t *testing.T) {
	c := mustLoad(t)
	var got strings.Builder
	if err := writeConfigTable(&got, c.rows()); err != nil {
		t.Fatal(err)
	}
	golden := filepath.Join("testdata", "config", "defaults.txt")
	if os.Getenv("UPDATE_GOLDEN") != "" {
		if err := os.WriteFile(golden, []byte(got.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if got.String() != string(want) {
		t.Errorf("defaults differ from %s:\n%s", golden, got.String())
	}
}

// leaves counts the fields that hold a setting.
func leaves(v reflect.Type) int {
	if reflect.PointerTo(v).Implements(reflect.TypeFor[field]()) {
		return 1
	}
	n := 0
	for f := range v.Fields() {
		n += leaves(f.Type)
	}
	return n
}

func TestEveryFieldOfConfigIsListedAndReadFromItsVariable(t *testing.T) {
	c := defaultConfig()
	if got, want := len(c.entries()), leaves(reflect.TypeFor[Config]()); got != want {
		t.Errorf("%d settings are listed, Config has %d", got, want)
	}
	var variables []string
	for _, name := range c.names() {
		variables = append(variables, envPrefix+"_"+name+"=?")
	}
	setEnvironment(t, variables...)
	c, _ = loadConfig()
	for _, e := range c.entries() {
		if got := e.field.source(); got != originEnvironment {
			t.Errorf("%s comes from %s, want it from the environment", e.name, got)
		}
	}
}

func TestVariablesWithoutThePrefixAreNotRead(t *testing.T) {
	c := mustLoad(t, "REDIS_URL=redis://elsewhere:6379/0", "LISTEN=:1", "URL=x", "TRIM_MAX_LENGTH=77")
	for _, r := range c.rows() {
		if r.Source != originDefault {
			t.Errorf("%s comes from %s", r.Setting, r.Source)
		}
	}
}

func TestEmptyValuesMeanTheDefaultExceptForListen(t *testing.T) {
	c := defaultConfig()
	var variables []string
	for _, name := range c.names() {
		variables = append(variables, envPrefix+"_"+name+"=")
	}
	got := mustLoad(t, variables...)
	for i, r := range got.rows() {
		want := c.rows()[i]
		if r.Setting == "LISTEN" {
			want = configRow{"LISTEN", "", originEnvironment}
		}
		if r != want {
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
		{"TRIM_MAX_AGE=36h0m30s", "36h0m30s"},
		{"TRIM_MAX_STALL=500us", "500µs"},
		{"TRIM_SCHEDULE=0 */5 * * * *", "0 */5 * * * *"},
		{"INSPECT_MAX_BYTES=1GiB", "1GiB"},
		{"INSPECT_MAX_BYTES=16MB", "15625KiB"},
		{"INSPECT_MAX_BYTES=65537", "65537"},
		{"CLEANUP_BRAKE=1", "1"},
		{"SESSIONS_LAYOUT=keys, OBJECT,keys", "keys,object"},
		{`STREAMS_INCLUDE=rocket-*; "odd, name"`, `rocket-*, "odd, name"`},
		{"LISTEN=[::1]:0", "[::1]:0"},
		{"LOG_LEVEL=WARN", "warn"},
		{"INSPECT_ENCODING=size-prefixed-block", "size-prefixed-block"},
		{"REDIS_URL=unix:///run/redis.sock?db=3", "unix:///run/redis.sock?db=3"},
		{"REDIS_URL=redis://a:26379/1?master_name=m&addr=b:26379", "redis://a:26379/1?master_name=m&addr=b:26379"},
		{"STREAM_PREFIX=\xff:", `\xff:`},
		{`STREAM_PREFIX=a\b`, `a\b`},
	} {
		t.Run(test.variable, func(t *testing.T) {
			c := mustLoad(t, envPrefix+"_"+test.variable)
			name, _, _ := strings.Cut(test.variable, "=")
			if got, want := row(t, &c, name), (configRow{name, test.shown, originEnvironment}); got != want {
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

func TestFlagsOutrankTheEnvironment(t *testing.T) {
	setEnvironment(t, "STREAMKEEPER_REDIS_URL=http://wrong", "RTA_RedisConnectionString=nowhere")
	c, err := loadConfig(override{"REDIS_URL", "redis://flag:6379/0", "--redis-url"})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := row(t, &c, "REDIS_URL"), (configRow{"REDIS_URL", "redis://flag:6379/0", "--redis-url"}); got != want {
		t.Errorf("got %v, want %v", got, want)
	}
	if _, err := loadConfig(override{"REDIS_URI", "redis://flag:6379/0", "--redis-url"}); err == nil {
		t.Error("a flag for an unknown setting passed")
	}
}

func TestAFaultOfAFlagNamesTheFlag(t *testing.T) {
	setEnvironment(t)
	_, err := loadConfig(override{"REDIS_URL", "redis://u:hush@h:x/0", "--redis-url"})
	want := `--redis-url="redis://***": not a URL; characters such as / ? # @ , in a user or password must be percent-encoded`
	if err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}

func TestSettingsAreShownAsJSON(t *testing.T) {
	c := mustLoad(t, "STREAMKEEPER_REDIS_URL=redis://u:hush@h:6379/0?client_name=a&addr=b:1")
	var out strings.Builder
	if err := writeConfigJSON(&out, c.rows()); err != nil {
		t.Fatal(err)
	}
	var rows []map[string]string
	if err := json.Unmarshal([]byte(out.String()), &rows); err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		"setting": "REDIS_URL", "value": "redis://u:***@h:6379/0?client_name=a&addr=b:1", "source": "environment",
	}
	if !reflect.DeepEqual(rows[0], want) {
		t.Errorf("got %v, want %v", rows[0], want)
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
				"error": fmt.Sprint(err), "rows": fmt.Sprint(c.rows()), "value": fmt.Sprintf("%v %+v %s", c, &c, c), "JSON": string(inJSON),
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
