package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/streamkeeper/streamkeeper/schedule"
)

func TestBadValuesAreRefusedWithTheExactMessage(t *testing.T) {
	const (
		notDuration = `not a duration; allowed: numbers with the units ms, s, m and h, such as 90s, 1h30m or 168h`
		notShare    = `not a share; allowed: a number from 0 to 1, such as 0.5`
		notSize     = `not a size; allowed: a whole number of bytes or with a unit, such as 65536, 64KiB, 16MB or 1GiB`
		notListen   = `not an address; allowed: host:port such as :8080, 127.0.0.1:8080 or [::1]:8080, or empty for none`
		notEncoded  = `not a URL; characters such as / ? # @ , in a user or password must be percent-encoded`
		urlForms    = `; allowed: redis://host:6379/0, rediss://host:6379/0, unix:///path/redis.sock, ` +
			`with ?master_name=name&addr=host:port for Sentinel or ?addr=host:port for a cluster`
	)
	for _, test := range []struct{ variable, want string }{
		{`REDIS_URL=localhost:6379`, `="localhost:6379": not a URL` + urlForms},
		{`REDIS_URL=http://host`, `="http://host": unknown scheme` + urlForms},
		{`REDIS_URL=redis://u:a/b@host`, `="redis://***": ` + notEncoded},
		{`REDIS_URL=redis://h?db=0&speed=9`, `="redis://h?db=0&speed=9": unexpected option: speed`},
		{`REDIS_URL=redis://h/2?addr=i:6379`, `="redis://h/2?addr=i:6379": several addresses are a cluster, which has database 0 only`},
		{`REDIS_TIMEOUT=0`, `="0": too small; allowed: 1ms or more`},
		{`REDIS_TIMEOUT=5`, `="5": ` + notDuration},
		{`REDIS_PASSWORD_FILE=/no/such/file`, `="/no/such/file": no such file or directory; allowed: the path of a file`},
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
		{`SESSIONS_LAYOUT=hash`, `="hash": unknown; allowed: auto, keys, object, fields, or several joined by commas`},
		{`SESSIONS_LAYOUT=auto,keys`, `="auto,keys": auto with others; allowed: auto alone, or some of keys, object, fields joined by commas`},
		{`STREAMS_INCLUDE=,`, `=",": no pattern in it; allowed: globs and quoted names separated by commas, such as rocket-*, "odd, name"`},
		{`TRIM_ENABLED=on`, `="on": not a switch; allowed: true or false`},
		{`TRIM_SCHEDULE=@every 500ms`, `="@every 500ms": @every 500ms is shorter than a second; allowed: ` + schedule.Syntax},
		{`TRIM_MAX_LENGTH=ten`, `="ten": not a whole number; allowed: digits only, such as 10000`},
		{`TRIM_MAX_LENGTH=10k`, `="10k": not a whole number; allowed: digits only, such as 10000`},
		{`TRIM_MAX_LENGTH= 10`, `=" 10": not a whole number; allowed: digits only, such as 10000`},
		{`TRIM_MAX_LENGTH=-1`, `="-1": negative; allowed: 0 or more`},
		{`TRIM_MAX_LENGTH=9223372036854775808`, `="9223372036854775808": out of range; allowed: 0 to 9223372036854775807`},
		{`TRIM_MAX_LENGTH=9`, `="9": so few are more likely a typo; allowed: 10 or more, 0 for no limit, or STREAMKEEPER_TRIM_ALLOW_TINY=true`},
		{`TRIM_MAX_AGE=59s`, `="59s": so short is more likely a typo; allowed: 1m or more, 0 for no limit, or STREAMKEEPER_TRIM_ALLOW_TINY=true`},
		{`TRIM_MAX_AGE=-1h`, `="-1h": negative; allowed: 0 or more`},
		{`TRIM_MAX_AGE=7d`, `="7d": ` + notDuration},
		{`TRIM_POLICIES=rocket-*`, `="rocket-*": "rocket-*": want <pattern>: <key>=<value>, …`},
		{
			`TRIM_POLICIES=a: max_length=5, max_age=1s; b: min_age=-1s`,
			`="a: max_length=5, max_age=1s; b: min_age=-1s": "b: min_age=-1s": min_age=-1s: want a duration such as 10m, 0 for none`,
		},
		{
			`TRIM_POLICIES=a: max_length=5; b: keep=all; c: min_age=1h, max_age=1m`,
			`="a: max_length=5; b: keep=all; c: min_age=1h, max_age=1m": a: max_length=5 keeps next to nothing: want 0 for no limit, at least 10, ` +
				`or TRIM_ALLOW_TINY=true; c: min_age=1h0m0s is more than max_age=1m0s: an entry cannot have to stay and have to go`,
		},
		{`TRIM_MAX_STALL=0`, `="0": too small; allowed: 1µs or more`},
		{`TRIM_MAX_STALL=1m`, `="1m": too large; allowed: 1s or less`},
		{`TRIM_PRESSURE=0.9`, `="0.9": of no use without a bound; allowed: together with STREAMKEEPER_TRIM_MIN_AGE above 0`},
		{`TRIM_PRESSURE=90%`, `="90%": ` + notShare},
		{`TRIM_GROUP_IDLE_AFTER=0`, `="0": too small; allowed: more than 0`},
		{`CLEANUP_EXPIRE_AFTER=0`, `="0": too small; allowed: more than 0`},
		{`CLEANUP_RETIRE_AFTER=0s`, `="0s": too small; allowed: more than 0`},
		{`CLEANUP_ABANDON_AFTER=25h`, `="25h": not shorter than CLEANUP_EXPIRE_AFTER; allowed: less than 24h, or 0 for off`},
		{`CLEANUP_ABANDON_AFTER=24h`, `="24h": not shorter than CLEANUP_EXPIRE_AFTER; allowed: less than 24h, or 0 for off`},
		{`CLEANUP_BRAKE=0`, `="0": too small; allowed: more than 0`},
		{`CLEANUP_BRAKE=1.5`, `="1.5": ` + notShare},
		{`CLEANUP_BRAKE=NaN`, `="NaN": ` + notShare},
		{`CLEANUP_BRAKE_MIN=-5`, `="-5": negative; allowed: 0 or more`},
		{`INSPECT_SAMPLES=0`, `="0": too small; allowed: more than 0`},
		{`INSPECT_MAX_BYTES=64 megs`, `="64 megs": ` + notSize},
		{`INSPECT_MAX_BYTES=-1`, `="-1": ` + notSize},
		{`INSPECT_MAX_BYTES=8388608TiB`, `="8388608TiB": too large; allowed: less than 8388608 TiB`},
		{`INSPECT_MAX_BURST=2GiB`, `="2GiB": too large; allowed: 1GiB or less`},
		{`INSPECT_ENCODING=lz4`, `="lz4": unknown; allowed: auto, frame, legacy-frame, pickle, size-prefixed-block, wrap, block`},
		{`METRICS_INTERVAL=0`, `="0": too small; allowed: more than 0`},
		{`LISTEN=8080`, `="8080": ` + notListen},
		{`LISTEN=:http`, `=":http": ` + notListen},
		{`LISTEN=:65536`, `=":65536": ` + notListen},
		{`LISTEN=http://:8080`, `="http://:8080": ` + notListen},
		{`LEASE_TTL=15ms`, `="15ms": too small; allowed: 100ms or more`},
		{`LOG_LEVEL=loud`, `="loud": unknown; allowed: debug, info, warn, error`},
		{`LOG_FORMAT=xml`, `="xml": unknown; allowed: auto, text, json`},
		{`SHUTDOWN_GRACE=0`, `="0": too small; allowed: more than 0`},
	} {
		t.Run(test.variable, func(t *testing.T) {
			name, _, _ := strings.Cut(test.variable, "=")
			want := envPrefix + "_" + name + test.want
			if test.want[0] != '=' {
				want = envPrefix + "_" + test.want
			}
			if got := faultsOf(t, envPrefix+"_"+test.variable); !slices.Equal(got, []string{want}) {
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
		{
			"a minimum age above the maximum age",
			[]string{"STREAMKEEPER_TRIM_MAX_AGE=1h", "STREAMKEEPER_TRIM_MIN_AGE=2h"},
			`STREAMKEEPER_TRIM_MIN_AGE="2h": longer than TRIM_MAX_AGE; allowed: 1h or less`,
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

func TestMinAgeIsFreeWhereNoMaxAgeIsSet(t *testing.T) {
	mustLoad(t, "STREAMKEEPER_TRIM_MIN_AGE=2h", "STREAMKEEPER_TRIM_PRESSURE=0.9")
}
