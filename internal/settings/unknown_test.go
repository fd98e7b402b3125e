package settings

import (
	"slices"
	"testing"
)

// named is a table of settings of which only the names count.
func named(names ...string) (t Table) {
	for _, name := range names {
		t = append(t, Row{Name: name})
	}
	return t
}

func someNames() Table {
	return named("REDIS_URL", "REDIS_USERNAME", "REDIS_PASSWORD", "REDIS_PASSWORD_FILE", "TRIM_MAX_LENGTH", "TRIM_MAX_AGE", "TRIM_EXACT",
		"CLEANUP_EXPIRE_AFTER", "CLEANUP_RETIRE_AFTER", "LISTEN", "SHUTDOWN_GRACE", "PUSH_URL", "TRIM_SCHEDULE", "METRICS_INTERVAL")
}

func TestUnknownVariablesSuggestTheNearestSetting(t *testing.T) {
	for _, test := range []struct{ name, want string }{
		{"STREAMKEEPER_TRIM_MAXLENGTH", "STREAMKEEPER_TRIM_MAX_LENGTH"},
		{"STREAMKEEPER_MAX_LENGTH", "STREAMKEEPER_TRIM_MAX_LENGTH"},
		{"STREAMKEEPER_REDIS_PASSWRD", "STREAMKEEPER_REDIS_PASSWORD"},
		{"STREAMKEEPER_REDIS_URI", "STREAMKEEPER_REDIS_URL"},
		{"STREAMKEEPER_REDIS_PASS", "STREAMKEEPER_REDIS_PASSWORD"},
		{"STREAMKEEPER_REDIS_USER", "STREAMKEEPER_REDIS_USERNAME"},
		{"STREAMKEEPER_CLEANUP_EXPIREAFTR", "STREAMKEEPER_CLEANUP_EXPIRE_AFTER"},
		{"STREAMKEEPER_trim_exact", "STREAMKEEPER_TRIM_EXACT"},
		{"STREAMKEEPER_URL", "STREAMKEEPER_REDIS_URL"},
		{"STREAMKEEPER_REDIS_HOST", "STREAMKEEPER_REDIS_URL"},
		{"STREAMKEEPER_TRIM_INTERVAL", "STREAMKEEPER_TRIM_SCHEDULE"},
		{"STREAMKEEPER_METRICS_SCHEDULE", "STREAMKEEPER_METRICS_INTERVAL"},
		{"STREAMKEEPER_LISTEN_ADDRESS", "STREAMKEEPER_LISTEN"},
	} {
		t.Run(test.name, func(t *testing.T) {
			want := test.name + ": unknown setting; did you mean " + test.want + "?"
			if got := someNames().Unknown([]string{test.name + "=1"}); !slices.Equal(got, []string{want}) {
				t.Errorf("got %q, want %q", got, want)
			}
		})
	}
}

func TestNothingIsSuggestedWhereNothingIsNear(t *testing.T) {
	got := someNames().Unknown([]string{"STREAMKEEPER_DRY_RUN=1", "STREAMKEEPER_DRYRUN=1", "STREAMKEEPER_=1", "STREAMKEEPER_COLOUR=1", "STREAMKEEPER_KAFKA_INTERVAL=1"})
	const dry = ": unknown setting; dry run is the flag --dry-run of run and once"
	if want := []string{"STREAMKEEPER_DRYRUN" + dry, "STREAMKEEPER_DRY_RUN" + dry}; !slices.Contains(got, want[0]) || !slices.Contains(got, want[1]) {
		t.Errorf("got %q", got)
	}
	for _, name := range []string{"STREAMKEEPER_", "STREAMKEEPER_COLOUR", "STREAMKEEPER_KAFKA_INTERVAL"} {
		if !slices.Contains(got, name+": unknown setting") {
			t.Errorf("%s: got %q", name, got)
		}
	}
}

func TestWhatKubernetesInjectsIsIgnored(t *testing.T) {
	if got := someNames().Unknown([]string{
		"STREAMKEEPER_SERVICE_HOST=10.0.0.1",
		"STREAMKEEPER_SERVICE_PORT=8080",
		"STREAMKEEPER_SERVICE_PORT_HTTP=8080",
		"STREAMKEEPER_PORT=tcp://10.0.0.1:8080",
		"STREAMKEEPER_PORT_8080_TCP=tcp://10.0.0.1:8080",
		"STREAMKEEPER_PORT_8080_TCP_PROTO=tcp",
		"STREAMKEEPER_PORT_8080_TCP_PORT=8080",
		"STREAMKEEPER_PORT_8080_TCP_ADDR=10.0.0.1",
		"STREAMKEEPER_TEAM_A_SERVICE_HOST=10.0.0.1",
		"STREAMKEEPER_TEAM_A_PORT_53_UDP=udp://10.0.0.1:53",
		"STREAMKEEPERX=1",
	}); len(got) > 0 {
		t.Errorf("faults: %q", got)
	}
}

func TestWhatOnlyResemblesKubernetesIsUnknown(t *testing.T) {
	got := someNames().Unknown([]string{"STREAMKEEPER_PORT_HTTP=1", "STREAMKEEPER_PORT_8080=1", "STREAMKEEPER_SERVICE=1", "STREAMKEEPER_LISTENPORT=1"})
	if len(got) != 4 {
		t.Errorf("got %d faults, want 4: %q", len(got), got)
	}
}
