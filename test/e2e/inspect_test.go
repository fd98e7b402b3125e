package e2e

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/streamkeeper/streamkeeper/internal/cli"
	"github.com/streamkeeper/streamkeeper/internal/corpus"
	"github.com/streamkeeper/streamkeeper/internal/jobs"
	"github.com/streamkeeper/streamkeeper/internal/program"
	"github.com/streamkeeper/streamkeeper/internal/redistest"
)

// sample is one message of the corpus; testdata of burst/ says where it comes
// from.
type sample struct {
	Name, Expect, Encoding string
	Size                   *int64
	Kinds                  map[string]int
	Data                   []byte
}

type inspectJSON struct {
	Summary  map[string]int64
	Messages []struct {
		Stream, File, ID, Verdict, Encoding string
		SessionID                           string `json:"session_id"`
		Reasons                             []string
		Size, CompressedBytes               int64
		Kinds                               map[string]int
		Content                             any
		Saved                               string
		Detail                              struct {
			Text      string
			LooksLike string `json:"looks_like"`
			Tried     []struct {
				Encoding string
				Byte     int
				Why      string
			}
		}
	}
}

func TestInspectJudgesFilesAsTheCorpusSays(t *testing.T) {
	t.Parallel()
	env := program.Env{}
	dir := t.TempDir()
	args := []string{"inspect", "-o", "json"}
	all := corpus.Read[sample](t, corpus.Bursts)
	for _, s := range all {
		path := filepath.Join(dir, strings.ReplaceAll(s.Name, "/", "_"))
		if err := os.WriteFile(path, s.Data, 0o600); err != nil {
			t.Fatal(err)
		}
		if len(args) < 5 {
			args = append(args, "--file")
		}
		// With a --file each argument is one.
		args = append(args, path)
	}
	code, out, errs := env.Run(t, args...)
	if code != cli.ExitInvalid {
		t.Fatalf("exit %d\n%s", code, errs)
	}
	got := decode[inspectJSON](t, out)
	if len(got.Messages) != len(all) || got.Summary["messages"] != int64(len(all)) {
		t.Fatalf("%d messages, summary %v", len(got.Messages), got.Summary)
	}
	for i, s := range all {
		m := got.Messages[i]
		if m.Verdict != s.Expect {
			t.Errorf("%s: %s %v, want %s", s.Name, m.Verdict, m.Reasons, s.Expect)
		}
		if s.Expect == "invalid" {
			continue
		}
		if m.Encoding != s.Encoding || m.Size != *s.Size || len(m.Kinds) != len(s.Kinds) {
			t.Errorf("%s: %s, %d bytes, %v; want %s, %d, %v", s.Name, m.Encoding, m.Size, m.Kinds, s.Encoding, *s.Size, s.Kinds)
		}
		for kind, n := range s.Kinds {
			if m.Kinds[kind] != n {
				t.Errorf("%s: %d of %s, want %d", s.Name, m.Kinds[kind], kind, n)
			}
		}
	}
}

func TestInspectJudgesTheMessagesOfAStream(t *testing.T) {
	t.Parallel()
	env := program.Env{}
	s := redistest.Start(t)
	ctx := t.Context()
	env["REDIS_URL"] = s.URL()
	env["INSPECT_SAMPLES"] = "100"
	want := make(map[string]string)
	for _, c := range corpus.Read[sample](t, corpus.Bursts) {
		if c.Encoding != "block" && c.Encoding != "frame" || len(c.Data) > 200_000 {
			continue
		}
		id := s.Client.XAdd(ctx, &redis.XAddArgs{Stream: "stream:car 7: \xff", Values: []any{"id", "12", "data", c.Data}}).Val()
		want[id] = c.Expect
	}
	s.Client.SAdd(ctx, "streams", "car 7: \xff")
	bad := s.Client.XAdd(ctx, &redis.XAddArgs{Stream: "stream:car 7: \xff", Values: []any{"data", "rubbish"}}).Val()
	want[bad] = "invalid"

	code, out, errs := env.Run(t, "inspect", `car 7: \xff`, "--decode")
	if code != cli.ExitInvalid {
		t.Fatalf("exit %d\n%s%s", code, out, errs)
	}
	got := decode[inspectJSON](t, out)
	if len(got.Messages) != len(want) {
		t.Errorf("%d messages, want %d", len(got.Messages), len(want))
	}
	for _, m := range got.Messages {
		if m.Verdict != want[m.ID] || m.Stream != `car 7: \xff` {
			t.Errorf("%s of %s: %s %v, want %s", m.ID, m.Stream, m.Verdict, m.Reasons, want[m.ID])
		}
		if m.Verdict == "ok" && (m.Content == nil || m.SessionID != "12") {
			t.Errorf("%s: session %q, content %v", m.ID, m.SessionID, m.Content)
		}
	}
	if code, _, errs := env.Run(t, "inspect", "nobody"); code != cli.ExitFailure || !strings.Contains(errs, `nobody`) {
		t.Errorf("a stream that is not there: exit %d, %s", code, errs)
	}
	if code, _, _ := env.Run(t, "inspect"); code != cli.ExitInvalid {
		t.Errorf("all streams: exit %d", code)
	}
	if code, _, _ := env.Run(t, "once", "inspect"); code != cli.ExitOK {
		t.Errorf("once never fails for an invalid message: exit %d", code)
	}
}

func TestOneBadMessageBecomesAFileThatIsJudgedAlike(t *testing.T) {
	t.Parallel()
	env := program.Env{}
	s := redistest.Start(t)
	ctx := t.Context()
	env["REDIS_URL"] = s.URL()
	name := "../car/7: \xff"
	bad := s.Client.XAdd(ctx, &redis.XAddArgs{Stream: "stream:" + name, Values: []any{"id", "12", "data", "\x00\x00\x00\x15\x38abc\x03\x00\x60-12345"}}).Val()
	s.Client.XAdd(ctx, &redis.XAddArgs{Stream: "stream:" + name, Values: []any{"id", "12", "data", "other"}})
	s.Client.SAdd(ctx, "streams", name)
	parent := t.TempDir()
	dir := filepath.Join(parent, "saved")

	code, out, errs := env.Run(t, "inspect", `stream:../car/7: \xff`, "--id", bad, "--save", dir, "-o", "json")
	got := decode[inspectJSON](t, out)
	if code != cli.ExitInvalid || len(got.Messages) != 1 || got.Messages[0].ID != bad || !strings.Contains(errs, "took name without key prefix") {
		t.Fatalf("exit %d\n%s%s", code, out, errs)
	}
	m := got.Messages[0]
	if filepath.Dir(m.Saved) != dir || m.Detail.LooksLike != "big_endian_length" || len(m.Detail.Tried) != 4 {
		t.Errorf("%+v", m)
	}
	code, out, _ = env.Run(t, "inspect", "--file", m.Saved)
	if code != cli.ExitInvalid || !strings.Contains(out, "unreadable: an LZ4 block behind a big-endian length") {
		t.Errorf("from the file: exit %d\n%s", code, out)
	}
	code, out, _ = env.Run(t, "inspect", `../car/7: \xff`, "--count", "1")
	if code != cli.ExitInvalid || !strings.Contains(out, "1 message looked at") {
		t.Errorf("one of them: exit %d\n%s", code, out)
	}
	if code, _, errs := env.Run(t, "inspect", `../car/7: \xff`, "--id", "9-9"); code != cli.ExitFailure || !strings.Contains(errs, "no message with this id") {
		t.Errorf("one that is not there: exit %d, %s", code, errs)
	}
	if entries, err := os.ReadDir(parent); err != nil || len(entries) != 1 {
		t.Errorf("beside the directory lies something else: %v, %v", entries, err)
	}
}

func TestInspectWantsFlagsThatGoTogether(t *testing.T) {
	t.Parallel()
	env := program.Env{}
	for args, want := range map[string]string{
		"--id 5-0":                        "name of the stream",
		"a --id five":                     `--id "five"`,
		"a --id 5 --count 2":              "one message",
		"a --id 5 --follow":               "one message",
		"a --count 0":                     "at least 1",
		"--file x --save y":               "not for a --file",
		"--file x --count 3":              "not for a --file",
		"--file x --id 3":                 "not for a --file",
		"--follow --since 0 a --count -1": "at least 1",
	} {
		if code, out, errs := env.Run(t, append([]string{"inspect"}, strings.Fields(args)...)...); code != cli.ExitUsage || !strings.Contains(errs, want) || out != "" {
			t.Errorf("%s: exit %d, %s%s", args, code, out, errs)
		}
	}
}

func TestInspectReadsStandardInput(t *testing.T) {
	t.Parallel()
	env := program.Env{}
	for _, s := range corpus.Read[sample](t, corpus.Bursts) {
		if s.Expect != "ok" {
			continue
		}
		cmd := env.Command(t, "inspect", "--file", "-", "-o", "json")
		cmd.Stdin = bytes.NewReader(s.Data)
		if code, _, errs := program.RunCommand(t, cmd); code != cli.ExitOK {
			t.Errorf("%s: exit %d, %s", s.Name, code, errs)
		}
		return
	}
}

func TestDemoTellsWhatIsDoneAndStopsByItselfWithASummary(t *testing.T) {
	t.Parallel()
	env := program.Env{"LISTEN": "127.0.0.1:0"}
	told := new(program.Buffer)
	cmd := env.Command(t, "demo")
	cmd.Stdout = told
	mustDo(t, cmd.Start())
	program.Eventually(t, 2*time.Minute, "the demo tells everything", func() bool {
		for _, want := range []string{"http://127.0.0.1:", "trimmed", "expired", "retired", "invalid"} {
			if !strings.Contains(told.String(), want) {
				return false
			}
		}
		return true
	})
	mustDo(t, cmd.Process.Signal(os.Interrupt))
	mustDo(t, cmd.Wait())
	if !strings.Contains(told.String(), "BYTES REMOVED") {
		t.Errorf("no summary:\n%s", told)
	}
	if out := env.MustRun(t, "demo", "--for", "1s"); !strings.Contains(out, "After 1s") {
		t.Errorf("no summary:\n%s", out)
	}
}

func TestADaemonSamplesAllStreamsHoweverSmallItsBudget(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	const streams = 60
	names := make([]string, streams)
	pipe := s.Client.Pipeline()
	for i := range names {
		names[i] = fmt.Sprint("car ", i)
		pipe.SAdd(t.Context(), "streams", names[i])
		for range 5 {
			pipe.XAdd(t.Context(), &redis.XAddArgs{Stream: "stream:" + names[i], Values: []any{"id", 1, "data", strings.Repeat("x", 1000)}})
		}
	}
	_, err := pipe.Exec(t.Context())
	mustDo(t, err)
	// Enough for about a third of the streams.
	r := program.Start(t, s.URL(), map[string]string{"INSPECT_MAX_BYTES": "30KiB", "INSPECT_SAMPLES": "1", "CLEANUP_ENABLED": "false"})
	program.Eventually(t, 15*time.Second, "it inspects", func() bool { return r.Runs(jobs.Inspect) > 0 })
	seen := func() (n int) {
		_, page := r.Get("/metrics")
		for _, name := range names {
			_, after, _ := strings.Cut(page, fmt.Sprintf("streamkeeper_inspect_messages_total{stream=%q,verdict=\"invalid\"} ", name))
			if after != "" && after[0] != '0' {
				n++
			}
		}
		return n
	}
	program.Eventually(t, 40*time.Second, "each stream was sampled", func() bool { return seen() == streams })
	if runs := r.Runs(jobs.Inspect); runs < 2 {
		t.Errorf("one run sampled all %d streams: the budget is no bound", streams)
	}
}
