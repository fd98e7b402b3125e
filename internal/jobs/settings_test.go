package jobs

import (
	"slices"
	"strings"
	"testing"

	"github.com/streamkeeper/streamkeeper/internal/settings"
	"github.com/streamkeeper/streamkeeper/schedule"
)

// faultsOf is what is wrong with settings of jobs, each "NAME=value".
func faultsOf(t *testing.T, variables ...string) settings.ConfigErrors {
	t.Helper()
	var s Settings
	table := s.Table()
	table.Reset()
	for _, variable := range variables {
		name, value, _ := strings.Cut(variable, "=")
		if err := table.Set(settings.Override{Name: name, Text: value, Origin: settings.OriginEnvironment}); err != nil {
			t.Fatal(err)
		}
	}
	return table.Faults()
}

func TestBadValuesAreRefusedWithTheExactMessage(t *testing.T) {
	t.Parallel()
	const (
		notDuration = `not a duration; allowed: numbers with the units ms, s, m, h and d, such as 90s, 1h30m or 7d`
		notShare    = `not a share; allowed: a number from 0 to 1, such as 0.5`
		notSize     = `not a size; allowed: a whole number of bytes or with a unit, such as 65536, 64KiB, 16MB or 1GiB`
	)
	for _, test := range []struct{ variable, want string }{
		{`METRICS_INTERVAL=999ms`, `="999ms": too small; allowed: 1s or more`},
		{`TRIM_ENABLED=on`, `="on": not a switch; allowed: true or false`},
		{`TRIM_SCHEDULE=@every 500ms`, `="@every 500ms": @every 500ms is shorter than a second; allowed: ` + schedule.Syntax},
		{`TRIM_MAX_LENGTH=ten`, `="ten": not a whole number; allowed: digits only, such as 10000`},
		{`TRIM_MAX_LENGTH=10k`, `="10k": not a whole number; allowed: digits only, such as 10000`},
		{`TRIM_MAX_LENGTH="10"`, `="\"10\"": the quotes around the value are part of it: take them off`},
		{`TRIM_MAX_LENGTH=-1`, `="-1": negative; allowed: 0 or more`},
		{`TRIM_MAX_LENGTH=9223372036854775808`, `="9223372036854775808": out of range; allowed: 0 to 9223372036854775807`},
		{`TRIM_MAX_LENGTH=9`, `="9": so few are more likely a typo; allowed: 10 or more, 0 for no limit, or STREAMKEEPER_TRIM_ALLOW_TINY=true`},
		{`TRIM_MAX_AGE=59s`, `="59s": so short is more likely a typo; allowed: 1m or more, 0 for no limit, or STREAMKEEPER_TRIM_ALLOW_TINY=true`},
		{`TRIM_MAX_AGE=-1h`, `="-1h": negative; allowed: 0 or more`},
		{`TRIM_MAX_AGE=1h1d`, `="1h1d": ` + notDuration},
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
		{`CLEANUP_EXPIRE_AFTER=9m59s`, `="9m59s": so short is more likely a typo; allowed: 10m or more, or STREAMKEEPER_CLEANUP_ALLOW_TINY=true`},
		{`CLEANUP_RETIRE_AFTER=24s`, `="24s": so short is more likely a typo; allowed: 10m or more, or STREAMKEEPER_CLEANUP_ALLOW_TINY=true`},
		{`CLEANUP_ABANDON_AFTER=59s`, `="59s": so short is more likely a typo; allowed: 1m or more, 0 for no limit, or STREAMKEEPER_CLEANUP_ALLOW_TINY=true`},
		{`CLEANUP_ALLOW_TINY=yes`, `="yes": not a switch; allowed: true or false`},
		{`CLEANUP_FLOWING=no`, `="no": not a switch; allowed: true or false`},
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
		{`METRICS_INTERVAL=0`, `="0": too small; allowed: 1s or more`},
		{`METRICS_INTERVAL=2d`, `="2d": too large; allowed: 24h or less`},
		{`METRICS_STREAMS=100001`, `="100001": too large; allowed: 100000 or less`},
		{`INSPECT_SAMPLES=10001`, `="10001": too large; allowed: 10000 or less`},
		{`INSPECT_MAX_BYTES=2TiB`, `="2TiB": too large; allowed: 1TiB or less`},
		{`CLEANUP_RETIRE_AFTER=3651d`, `="3651d": too large; allowed: 87600h or less`},
		{`TRIM_SCHEDULE=@every 300000h`, `="@every 300000h": @every 300000h0m0s is longer than 366 days; allowed: ` + schedule.Syntax},
	} {
		t.Run(test.variable, func(t *testing.T) {
			t.Parallel()
			name, _, _ := strings.Cut(test.variable, "=")
			want := settings.Prefix + "_" + name + test.want
			if got := faultsOf(t, test.variable); !slices.Equal(got, settings.ConfigErrors{want}) {
				t.Errorf("got  %q\nwant %q", got, want)
			}
		})
	}
}

func TestTheMinimumAgeIsAtMostTheMaximumAge(t *testing.T) {
	t.Parallel()
	want := settings.ConfigErrors{`STREAMKEEPER_TRIM_MIN_AGE="2h": longer than TRIM_MAX_AGE; allowed: 1h or less`}
	if got := faultsOf(t, "TRIM_MAX_AGE=1h", "TRIM_MIN_AGE=2h"); !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	if got := faultsOf(t, "TRIM_MIN_AGE=2h", "TRIM_PRESSURE=0.9"); len(got) > 0 {
		t.Errorf("without a maximum: %q", got)
	}
}
