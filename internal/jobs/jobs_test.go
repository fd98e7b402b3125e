package jobs

import (
	"encoding/json"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"github.com/streamkeeper/streamkeeper/buffer"
)

func TestAnUnknownJobIsAnErrorAndSoIsOneOfTheBackground(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"trim": "", "cleanup": "", "inspect": "", "prune": `unknown job "prune"`, "": `unknown job ""`, "metrics": `unknown job "metrics"`,
	} {
		job, err := Named(name)
		if want == "" && (err != nil || job.Name != name) || want != "" && (err == nil || err.Error() != want) {
			t.Errorf("%q gave %q, %v", name, job.Name, err)
		}
	}
}

func TestEachJobAloneHasTheRightsThatAllJobsHave(t *testing.T) {
	t.Parallel()
	for _, only := range All() {
		u := buffer.Uses{Job: true, Trim: true, Cleanup: true, Inspect: true, Names: buffer.DefaultNames}
		NoteUses(&u, func(j Job) bool { return j.Name == only.Name })
		words, _ := u.Rule()
		for _, word := range []string{"~streams", "~stream:*", "~streamkeeper:pauses", "+time", "+sscan", "+xlen", "+hgetall"} {
			if !slices.Contains(words, word) {
				t.Errorf("%s lacks %s: %q", only.Name, word, words)
			}
		}
		if !only.Removes && slices.Contains(words, "+xtrim") {
			t.Errorf("%s may do more than it has to: %q", only.Name, words)
		}
	}
	u := buffer.Uses{Job: true, Trim: true, Names: buffer.DefaultNames}
	NoteUses(&u, func(Job) bool { return false })
	if words, _ := u.Rule(); len(words) != 0 {
		t.Errorf("without a job nothing is needed, not %q", words)
	}
}

func TestEachResultBeginsAsTheOthersDoInJSON(t *testing.T) {
	t.Parallel()
	for _, r := range []Result{new(TrimResult), new(CleanupResult), new(InspectResult), new(MetricsResult)} {
		r.head().finish("x", 0, nil)
		text, err := json.Marshal(r)
		if err != nil || !strings.HasPrefix(string(text), `{"job":"x","ok":true,"seconds":0,"error":"",`) {
			t.Errorf("%T: %s, %v", r, text, err)
		}
	}
}

func TestTheLogSaysWhatADryRunWouldDo(t *testing.T) {
	t.Parallel()
	for _, r := range []Result{new(TrimResult), new(CleanupResult)} {
		for _, dryRun := range []bool{false, true} {
			said := func() string {
				var out strings.Builder
				r.LogTo(slog.New(slog.NewTextHandler(&out, nil)), dryRun)
				return out.String()
			}
			r.head().finish("x", 0, nil)
			if got := said(); strings.Contains(got, `msg="would `) != dryRun || strings.Contains(got, "incomplete") {
				t.Errorf("%T, dry run %t: %s", r, dryRun, got)
			}
			r.head().finish("x", 0, errors.New("no answer"))
			if got := said(); !strings.Contains(got, `level=WARN msg="run incomplete"`) {
				t.Errorf("%T, dry run %t, failed: %s", r, dryRun, got)
			}
		}
	}
}

func TestTheSentenceOfAResult(t *testing.T) {
	t.Parallel()
	trimmed := &TrimResult{Streams: 12, StreamsTrimmed: 2, EntriesRemoved: 1, BytesRemoved: 5 << 20, backlogs: 3, Errors: 1}
	held := &CleanupResult{Sessions: 40, Brake: "30 of 40 sessions would expire"}
	for _, test := range []struct {
		result Result
		dryRun bool
		want   string
	}{
		{trimmed, false, "2 of 12 streams trimmed, 1 entry (~5.0 MiB), 3 with a backlog, 1 failed"},
		{trimmed, true, "2 of 12 streams to trim, 1 entry (~5.0 MiB), 3 with a backlog, 1 failed"},
		{held, false, "stopped by the mass-deletion guard: 30 of 40 sessions would expire"},
		{held, true, "the mass-deletion guard would stop it: 30 of 40 sessions would expire"},
		{&CleanupResult{Sessions: 40, SessionsExpired: 2, NamesDropped: 1, Streams: 1}, false, "2 of 40 sessions expired, 0 of 1 stream retired, 1 names dropped"},
		{&InspectResult{Messages: 3, Valid: 2, Invalid: 1}, false, "3 messages looked at: 2 ok, 0 with warnings, 1 invalid"},
		{new(MetricsResult), false, ""},
	} {
		if got := test.result.Sentence(test.dryRun); got != test.want {
			t.Errorf("got %q, want %q", got, test.want)
		}
	}
}
