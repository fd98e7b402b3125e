package e2e

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/streamkeeper/streamkeeper/internal/cli"
	"github.com/streamkeeper/streamkeeper/internal/program"
	"github.com/streamkeeper/streamkeeper/internal/redistest"
)

func TestAPlanThatCouldNotJudgeEverythingFailsAndSaysWhatItIsAbout(t *testing.T) {
	t.Parallel()
	redistest.EachVersion(t, func(t *testing.T, start redistest.StartFunc) {
		server := start(t)
		w := newFixture(server.Client, server.URL())
		w.server = server
		w.env = program.Env{"REDIS_URL": "redis://keeper:secret@" + server.Addr, "TRIM_MAX_LENGTH": "1000", "SESSIONS_LAYOUT": "object", "TRIM_RESPECT_GROUPS": "true"}
		w.stream(t, "busy", 1500, 0, 10*time.Millisecond)
		w.session(t, "object", "live", "busy", time.Minute)
		mustDo(t, w.client.XGroupCreate(t.Context(), "stream:busy", "viewer", "0").Err())
		for _, c := range []struct {
			denied string
			names  string // what could not be judged
		}{
			{"-xinfo", `stream "busy"`},
			{"-@scripting", `stream "busy"`},
			{"-sscan", "streams"},
			{"-xlen", "the lengths of 1 stream"},
			{"-hscan", "sessions"},
		} {
			t.Run(c.denied, func(t *testing.T) {
				keeperUnder(t, w.server, []string{"allkeys", "+@all", c.denied})
				code, out, errs := w.env.Run(t, "plan")
				if code != cli.ExitFailure {
					t.Errorf("exit %d, want %d", code, cli.ExitFailure)
				}
				if strings.Contains(out, "Nothing to do") || !strings.Contains(out, "This plan is incomplete.") {
					t.Errorf("stdout reads like success")
				}
				right := "lacks the right " + strings.Replace(strings.Replace(c.denied, "-@scripting", "+eval", 1), "-", "+", 1)
				if !strings.Contains(errs, right) || !strings.Contains(errs, c.names) {
					t.Errorf("stderr does not name %s and %q", c.names, right)
				}
				asJSON, text, _ := w.env.Run(t, "plan", "-o", "json")
				plan := decode[struct {
					Failed []string `json:"failed"`
				}](t, text)
				if said := fmt.Sprint(plan.Failed); asJSON != cli.ExitFailure || !strings.Contains(said, c.names) {
					t.Errorf("exit %d, and the JSON says %s", asJSON, said)
				}
				if t.Failed() {
					t.Logf("stdout:\n%s\nstderr:\n%s", out, errs)
				}
			})
		}
	})
}

func TestStreamsThatKeepAllHaveNoLimit(t *testing.T) {
	t.Parallel()
	w := startFixture(t, "object")
	w.env["TRIM_POLICIES"] = "busy: keep=all"
	wantLines(t, metricsOfOnce(t, w.env, cli.ExitOK, "trim"),
		`streamkeeper_stream_entries{stream="busy"} 2500`,
		`streamkeeper_stream_limit_entries{stream="busy"} 0`,
		`streamkeeper_stream_limit_entries{stream="short*"} 1000`,
	)
}

func TestThePageShowsNoLimitForAStreamThatKeepsAll(t *testing.T) {
	t.Parallel()
	w := startFixture(t, "object")
	in := program.Start(t, w.server.URL(), map[string]string{"TRIM_MAX_LENGTH": "1000", "TRIM_POLICIES": "busy: keep=all"})
	program.Eventually(t, 30*time.Second, "the page shows the figures of busy", func() bool {
		for _, s := range in.Status().Streams.Largest {
			if s.Name == "busy" && s.Entries == 2500 {
				return true
			}
		}
		return false
	})
	for _, s := range in.Status().Streams.Largest {
		if s.Name == "busy" && (s.Limit != 0 || s.Over()) {
			t.Errorf("busy has the limit %d, and is over it: %t", s.Limit, s.Over())
		}
	}
}

func TestARuleThatNeverCountsIsAFaultThatNamesBoth(t *testing.T) {
	t.Parallel()
	w := startFixture(t, "object")
	w.env["TRIM_POLICIES"] = `bus*: keep=all; "busy": max_length=500`
	for _, command := range []string{"plan", "once"} {
		code, out, errs := w.env.Run(t, command)
		if code != cli.ExitUsage || out != "" || !strings.Contains(errs, `never counts, as the earlier rule for bus* takes in all of "busy"`) {
			t.Errorf("%s: exit %d\n%s%s", command, code, out, errs)
		}
	}
	w.left(t, "busy", 2500)
}

func TestPatternsThatMatchNothingAreNamedAndTheBufferIsNotCalledAbsent(t *testing.T) {
	t.Parallel()
	w := startFixture(t, "object")
	for _, c := range []struct{ env, args, says string }{
		{"", "once trim --stream nobody* --max-length 100", "no stream matches nobody*"},
		{"", "once trim --stream busy --stream nobody* --stream none --max-length 100 --dry-run", "no stream matches nobody*, none"},
		{"STREAMS_INCLUDE=nope*", "once trim", "none of which STREAMS_INCLUDE and STREAMS_EXCLUDE leave"},
		{"STREAMS_INCLUDE=nope*", "plan", "none of which STREAMS_INCLUDE and STREAMS_EXCLUDE leave"},
		{"STREAMS_EXCLUDE=*", "plan busy", "No stream matches busy, of those that STREAMS_INCLUDE and STREAMS_EXCLUDE leave"},
	} {
		env := maps.Clone(w.env)
		if name, value, found := strings.Cut(c.env, "="); found {
			env[name] = value
		}
		code, out, errs := env.Run(t, strings.Fields(c.args)...)
		said := strings.Join(strings.Fields(out+errs), " ")
		if code != cli.ExitOK || !strings.Contains(strings.ToLower(said), strings.ToLower(c.says)) || strings.Contains(said, "are STREAMS_KEY") {
			t.Errorf("%s streamkeeper %s: exit %d\n%s%s", c.env, c.args, code, out, errs)
		}
	}
}

func TestPlanAndOnceSayWhichJobsAreOff(t *testing.T) {
	t.Parallel()
	w := startFixture(t, "object")
	env := maps.Clone(w.env)
	for _, job := range []string{"TRIM", "CLEANUP", "INSPECT"} {
		env[job+"_ENABLED"] = "false"
	}
	trims, cleans := "trim is off (TRIM_ENABLED=false)", "cleanup is off (CLEANUP_ENABLED=false)"
	for args, says := range map[string][]string{
		"plan":                {trims, cleans, "trim    busy"},
		"plan --job cleanup":  {cleans, "retire"},
		"plan --job trim":     {trims, "trim    busy"},
		"once":                {"Nothing was done:\n" + trims + ",\n" + cleans + ",\ninspect is off"},
		"once trim --dry-run": {"streams to trim"},
	} {
		out := env.MustRun(t, strings.Fields(args)...)
		for _, part := range []string{trims, cleans} {
			if !slices.Contains(says, part) && args != "once" && strings.Contains(out, part) {
				t.Errorf("%s says %q:\n%s", args, part, out)
			}
		}
		for _, part := range says {
			if !strings.Contains(out, part) {
				t.Errorf("%s lacks %q:\n%s", args, part, out)
			}
		}
	}
	if out := w.env.MustRun(t, "plan"); strings.Contains(out, "is off") {
		t.Errorf("all are on:\n%s", out)
	}
}
