package report

import (
	"bytes"
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/streamkeeper/streamkeeper/buffer"
	"github.com/streamkeeper/streamkeeper/burst"
	"github.com/streamkeeper/streamkeeper/inspect"
	"github.com/streamkeeper/streamkeeper/internal/golden"
	"github.com/streamkeeper/streamkeeper/internal/jobs"
	"github.com/streamkeeper/streamkeeper/trim/sweep"
)

// compareGolden compares with testdata/name.golden, and sees that no line of it is
// wider than a terminal.
func compareGolden(t *testing.T, name string, got []byte) {
	t.Helper()
	golden.Compare(t, filepath.Join("testdata", name+".golden"), string(got))
	for line := range strings.Lines(string(got)) {
		if n := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); n > 100 {
			t.Errorf("%s: %d columns: %s", name, n, line)
		}
	}
}

func examplePlan(all bool) *Plan {
	p := NewPlan(Redis{Version: "7.0.15", Mode: "standalone", Address: "redis://h:6379/0"}, all)
	p.Policies = []string{"all streams: keep the newest 10000 entries, approximately"}
	p.Summary = Summary{Streams: 12, Sessions: new(int64(1)), TrimStreams: 2, TrimEntries: 7000, TrimBytes: 5_400_000, ExpireSessions: 1, RetireStreams: 1}
	p.Add(Action{Action: "trim", Stream: "rocket-7", Entries: 5000, Bytes: 5_400_000, Reason: "15 000 entries (limit 10 000)"})
	p.Add(Action{Action: "trim", Stream: "a stream whose name is much too long for a table \xff", Entries: 2000, Estimated: true, Reason: "oldest entry 3h old (limit 1h)"})
	p.Add(Action{Action: "expire", Stream: "rocket-7", Session: new("car 7\n"), Reason: "not updated for 26h 3m (limit 24h)"})
	p.Add(Action{Action: "retire", Stream: "old", Reason: "no session, last entry 3d ago (limit 24h)"})
	return p
}

func TestPlanAsATable(t *testing.T) {
	pressed := examplePlan(false)
	pressed.Pressure = "memory at 93 % of maxmemory (limit 90 %): 3 streams would keep less, which frees about 12.0 MiB"
	for name, p := range map[string]*Plan{
		"plan":          examplePlan(false),
		"plan-pressure": pressed,
		"plan-brake": func() *Plan {
			p := examplePlan(false)
			p.Summary.Brake = "30 of 40 sessions would expire"
			return p
		}(),
		"plan-abandon": func() *Plan {
			p := examplePlan(false)
			p.Summary.AbandonSessions = 1
			p.Add(Action{Action: "abandon", Stream: "rocket-8", Session: new("car 8"), Reason: "open, not updated for 2h 3m (limit 1h)"})
			return p
		}(),
		"plan-empty": NewPlan(Redis{}, false),
		"plan-trim": func() *Plan {
			p := NewPlan(Redis{Version: "7.0.15", Mode: "standalone", Address: "redis://h:6379/0"}, false)
			p.Job, p.Summary = jobs.Trim, Summary{Streams: 1, TrimStreams: 1, TrimEntries: 20}
			p.Add(Action{Action: "trim", Stream: "car", Entries: 20, Reason: "10 020 entries (limit 10 000)"})
			return p
		}(),
		"plan-disabled": func() *Plan {
			p := examplePlan(false)
			p.Disabled = []string{jobs.Trim, jobs.Cleanup}
			return p
		}(),
		"plan-cleanup": func() *Plan {
			p := examplePlan(false)
			p.Job, p.Policies, p.Actions = jobs.Cleanup, nil, p.Actions[2:]
			return p
		}(),
	} {
		var out bytes.Buffer
		if err := WritePlan(&out, Table, p); err != nil {
			t.Fatal(err)
		}
		compareGolden(t, name, out.Bytes())
	}
}

func TestPlanListsAThousandOfEachActionOrAll(t *testing.T) {
	for all, want := range map[bool]int{false: Listed + 1, true: Listed + 501} {
		p := NewPlan(Redis{}, all)
		for range Listed + 500 {
			p.Add(Action{Action: "trim", Stream: "x", Entries: 1})
		}
		p.Add(Action{Action: "retire", Stream: "x"})
		if len(p.Actions) != want {
			t.Errorf("all %v: %d actions are listed, want %d", all, len(p.Actions), want)
		}
		var out bytes.Buffer
		if err := WritePlan(&out, Table, p); err != nil {
			t.Fatal(err)
		}
		if says := strings.Contains(out.String(), "500 more"); says == all {
			t.Errorf("all %v: says that there are more: %v", all, says)
		}
	}
}

func TestPlanAsJSON(t *testing.T) {
	var out bytes.Buffer
	if err := WritePlan(&out, JSON, examplePlan(false)); err != nil {
		t.Fatal(err)
	}
	compareGolden(t, "plan-json", out.Bytes())
}

func TestOnceAsATableAndAsJSON(t *testing.T) {
	trimmed := &jobs.TrimResult{Head: jobs.Head{Job: "trim", Seconds: 1.5, Error: "2 items failed"}, Streams: 120, StreamsTrimmed: 1, EntriesRemoved: 12345, BytesRemoved: 26 << 20, Errors: 2}
	cleanup := &jobs.CleanupResult{Head: jobs.Head{Job: "cleanup", OK: true, Seconds: 0.02}, Sessions: 40, Streams: 120, SessionsMalformed: 1, Brake: "30 of 40 sessions would expire"}
	inspected := &jobs.InspectResult{Head: jobs.Head{Job: "inspect", OK: true, Seconds: 0.003}, Messages: 3, Valid: 2, Invalid: 1, Bytes: 4096}
	once := Once{Version: "1.0.0", Redis: Redis{Version: "7.0.15", Mode: "cluster"}, Jobs: []jobs.Result{trimmed, cleanup, inspected}}
	for format, name := range map[Format]string{Table: "once", JSON: "once-json"} {
		var out bytes.Buffer
		if err := WriteOnce(&out, format, once); err != nil {
			t.Fatal(err)
		}
		compareGolden(t, name, out.Bytes())
		if format == JSON && !json.Valid(out.Bytes()) {
			t.Error("not JSON")
		}
	}
	once.DryRun, trimmed.Pressure = true, "memory at 93 % of maxmemory (limit 90 %): 3 streams would keep less"
	var out bytes.Buffer
	if err := WriteOnce(&out, Table, once); err != nil {
		t.Fatal(err)
	}
	compareGolden(t, "once-dry-run", out.Bytes())
}

func TestInspectionAsATable(t *testing.T) {
	i := NewInspection(false)
	i.Add(inspect.Message{Stream: "car 7 \xff", ID: buffer.ID{Ms: 1700000000000, Seq: 3}, Verdict: burst.Invalid, Reasons: []inspect.Reason{inspect.IDMissing, inspect.DataMissing}})
	i.Add(inspect.Message{Stream: "car 7 \xff", ID: buffer.ID{Ms: 1700000000100}, Verdict: burst.OK, Encoding: burst.Block, Size: 65536, CompressedBytes: 9000})
	i.Finish(inspect.Report{
		Messages: 2, OK: 1, Invalid: 1, Bytes: 9000, Streams: 1, StreamsLeft: 4,
		Summaries: []inspect.Summary{{
			Stream: "car 7 \xff", Messages: 2, OK: 1, Invalid: 1, Encodings: []burst.Encoding{burst.Block}, Size: 65536, Ratio: 7.28, Rate: 10,
			Kinds: map[string]int{"session_json": 1, "time_range": 1, "timestamped_data": 3, "periodic_data": 2, "row_data": 4, "event": 1},
		}},
	})
	var out bytes.Buffer
	if err := WriteInspection(&out, Table, i); err != nil {
		t.Fatal(err)
	}
	compareGolden(t, "inspect", out.Bytes())
}

func TestProgressIsSilentUnlessOnATerminal(t *testing.T) {
	var out bytes.Buffer
	for _, on := range []bool{false, true} {
		p := NewProgress(&out, on)
		p.started = time.Now().Add(-time.Minute)
		p.Show(jobs.TrimProgress(sweep.Progress{Streams: 1000, Entries: 5_000_000, Waiting: 3}, p.Took()))
		p.Done()
		if got := out.String(); on != strings.Contains(got, "5 000 000 entries removed") {
			t.Errorf("on %v: %q", on, got)
		}
	}
}
