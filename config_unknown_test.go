package main

import (
	"slices"
	"testing"
)

func TestUnknownVariablesSuggestTheNearestSetting(t *testing.T) {
	for _, test := range []struct{ name, want string }{
		{"STREAMKEEPER_TRIM_MAXLENGTH", "STREAMKEEPER_TRIM_MAX_LENGTH"},
		{"STREAMKEEPER_MAX_LENGTH", "STREAMKEEPER_TRIM_MAX_LENGTH"},
		{"STREAMKEEPER_REDIS_PASSWRD", "STREAMKEEPER_REDIS_PASSWORD"},
		{"STREAMKEEPER_REDIS_URI", "STREAMKEEPER_REDIS_URL"},
		{"STREAMKEEPER_CLEANUP_EXPIREAFTR", "STREAMKEEPER_CLEANUP_EXPIRE_AFTER"},
		{"STREAMKEEPER_trim_exact", "STREAMKEEPER_TRIM_EXACT"},
		{"STREAMKEEPER_", "STREAMKEEPER_LISTEN"},
	} {
		t.Run(test.name, func(t *testing.T) {
			want := test.name + ": unknown setting; did you mean " + test.want + "?"
			if got := faultsOf(t, test.name+"=1"); !slices.Equal(got, []string{want}) {
				t.Errorf("got %q, want %q", got, want)
			}
		})
	}
}

func TestWhatKubernetesInjectsIsIgnored(t *testing.T) {
	mustLoad(t,
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
	)
}

func TestWhatOnlyResemblesKubernetesIsUnknown(t *testing.T) {
	got := faultsOf(t, "STREAMKEEPER_PORT_HTTP=1", "STREAMKEEPER_PORT_8080=1", "STREAMKEEPER_SERVICE=1", "STREAMKEEPER_LISTENPORT=1")
	if len(got) != 4 {
		t.Errorf("got %d faults, want 4: %q", len(got), got)
	}
}

func TestNoSettingLooksLikeWhatKubernetesInjects(t *testing.T) {
	c := defaultConfig()
	for _, name := range c.names() {
		if kubernetesName.MatchString(envPrefix + "_" + name) {
			t.Errorf("%s could be injected by Kubernetes", name)
		}
	}
}

func TestEditDistanceCountsInsertionsDeletionsAndReplacements(t *testing.T) {
	for _, test := range []struct {
		a, b string
		want int
	}{
		{"", "", 0}, {"", "abc", 3}, {"abc", "", 3}, {"kitten", "sitting", 3}, {"flaw", "lawn", 2}, {"same", "same", 0},
	} {
		if got := editDistance(test.a, test.b); got != test.want {
			t.Errorf("editDistance(%q, %q) = %d, want %d", test.a, test.b, got, test.want)
		}
	}
}
