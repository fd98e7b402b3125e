package doctest

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/streamkeeper/streamkeeper/demo"
	"github.com/streamkeeper/streamkeeper/internal/cli"
	"github.com/streamkeeper/streamkeeper/internal/program"
	"github.com/streamkeeper/streamkeeper/internal/redistest"
)

// Every command that the documentation shows is run here, on a Redis with the
// demo's data, or is known to run elsewhere. Blocks marked sh hold commands, a
// line each; blocks marked console hold commands after "$ ", and below each
// what it prints, where figures may differ and "…" stands for the rest of a
// line or, alone, for any number of lines. A comment "# exit 4" says that a
// command does not exit with 0. Commands in running text count, too.

// shown is a command that a page shows.
type shown struct {
	line    int
	command string
	// exit is the code that the page promises.
	exit int
	// output is what the page shows of what the command prints.
	output []string
}

// pages are the documents of the project.
func pages(t *testing.T) []string {
	t.Helper()
	var all []string
	for _, pattern := range []string{"*.md", "docs/*.md", "bench/*.md", "helm/*/*.md"} {
		found, err := filepath.Glob(pattern)
		mustDo(t, err)
		all = append(all, found...)
	}
	if len(all) < 10 {
		t.Fatalf("only %v found", all)
	}
	return all
}

func readPage(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	mustDo(t, err)
	return string(text)
}

// block is a fenced block, or the running text between two of them.
type block struct {
	language string // prose outside of fences
	line     int    // of the first line of text
	lines    []string
}

const prose = "prose"

// blocksOf splits a page.
func blocksOf(text string) (all []block) {
	current := block{language: prose, line: 1}
	for i, line := range strings.Split(text, "\n") {
		fence, found := strings.CutPrefix(strings.TrimSpace(line), "```")
		if !found {
			current.lines = append(current.lines, line)
			continue
		}
		all = append(all, current)
		if current.language != prose {
			fence = prose
		}
		current = block{language: fence, line: i + 2}
	}
	return append(all, current)
}

// commandsOf finds the commands of a block.
func commandsOf(b block) []shown {
	switch b.language {
	case "sh":
		return commandLines(b)
	case "console":
		return session(b)
	case prose:
		return spans(b)
	}
	return nil
}

func commandLines(b block) (all []shown) {
	var command string
	for i, line := range b.lines {
		text, goesOn := strings.CutSuffix(strings.TrimSpace(line), `\`)
		if command += text; goesOn || command == "" || strings.HasPrefix(command, "#") {
			if !goesOn {
				command = ""
			}
			continue
		}
		all = append(all, newShown(b.line+i, command))
		command = ""
	}
	return all
}

func session(b block) (all []shown) {
	for i, line := range b.lines {
		if command, found := strings.CutPrefix(strings.TrimSpace(line), "$ "); found {
			all = append(all, newShown(b.line+i, command))
		} else if last := len(all) - 1; last >= 0 && strings.TrimSpace(line) != "" {
			all[last].output = append(all[last].output, line)
		}
	}
	return all
}

var (
	codeSpan    = regexp.MustCompile("`[^`]+`")
	spanCommand = regexp.MustCompile(`^(\S+=\S+ )*(streamkeeper|redis-cli|go run|make|scripts/\w+|bash|helm|kubectl|docker) `)
)

// spans finds what running text shows of our commands, those of Redis and
// those of make. What is in capitals there stands for a name.
func spans(b block) (all []shown) {
	text := strings.Join(b.lines, "\n")
	for _, at := range codeSpan.FindAllStringIndex(text, -1) {
		command := strings.Join(strings.Fields(strings.Trim(text[at[0]:at[1]], "`")), " ")
		if spanCommand.MatchString(command) {
			named := regexp.MustCompile(`\bNAME\b`).ReplaceAllString(command, "'demo/car 22: Practice 1'")
			s := newShown(b.line+strings.Count(text[:at[0]], "\n"), named)
			if (strings.HasPrefix(command, "streamkeeper inspect") || command == "streamkeeper doctor") && named == command {
				s.exit = cli.ExitInvalid // it meets the simulator's message, or its session
			}
			all = append(all, s)
		}
	}
	return all
}

func newShown(line int, command string) shown {
	s := shown{line: line, command: command}
	if m := regexp.MustCompile(`#.*\bexit (\d)`).FindStringSubmatch(command); m != nil {
		s.exit, _ = strconv.Atoi(m[1])
	}
	return s
}

// program is the first word of a command that is no assignment.
func (s shown) program() string {
	return regexp.MustCompile(`^(?:[A-Z]\w*=(?:'[^']*'|\S)*\s+)*(\S+)`).FindStringSubmatch(s.command)[1]
}

// inPod is how a command is typed from outside of the cluster.
const inPod = "kubectl exec deployment/streamkeeper -- /streamkeeper "

// runsHere tells commands that can be tried from those that need more.
func (s shown) runsHere() bool {
	return s.program() == "streamkeeper" || s.program() == "redis-cli" || strings.HasPrefix(s.command, "go run . ")
}

// stays reports whether a command runs until it is stopped.
func (s shown) stays() bool {
	return regexp.MustCompile(`(streamkeeper|go run \.) (run|demo)\b`).MatchString(s.command) && !strings.Contains(s.command, "--for")
}

func TestEveryCommandShownInTheDocumentationWorks(t *testing.T) {
	t.Parallel()
	tools := t.TempDir()
	installTools(t, tools)
	data := makeExhibit(t)
	for _, path := range pages(t) {
		t.Run(path, func(t *testing.T) {
			t.Parallel()
			r := &reader{path: path, tools: tools, data: data}
			for _, b := range blocksOf(readPage(t, path)) {
				checkBlock(t, path, b)
				r.follow(t, b)
			}
		})
	}
}

// checkBlock keeps to the marks that say what a block is.
func checkBlock(t *testing.T, path string, b block) {
	t.Helper()
	if !slices.Contains([]string{prose, "sh", "console", "text", "yaml", "json"}, b.language) {
		t.Errorf("%s:%d: a block marked %q; want sh, console, text, yaml or json", path, b.line-1, b.language)
	}
	for i, line := range b.lines {
		if b.language == prose && i > 0 && strings.HasPrefix(line, "    ") && b.lines[i-1] == "" {
			t.Errorf("%s:%d: an indented block; want a fenced one that says what it is", path, b.line+i)
		}
	}
}

// installTools makes the commands that pages name: streamkeeper is this
// binary, and so is `go run .`; redis-cli finds the test's server.
func installTools(t *testing.T, dir string) {
	t.Helper()
	self := program.Path(t)
	redisCLI, err := exec.LookPath("redis-cli")
	mustDo(t, err)
	for name, script := range map[string]string{
		"streamkeeper": fmt.Sprintf("exec '%s' \"$@\"", self),
		"go":           fmt.Sprintf("[ \"$1 $2\" = 'run .' ] || exit 99\nshift 2\nexec '%s' \"$@\"", self),
		"redis-cli":    fmt.Sprintf("exec '%s' -e -p \"$REDIS_PORT\" \"$@\"", redisCLI),
	} {
		mustDo(t, os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"+script+"\n"), 0o700))
	}
}

// reader is somebody who types the commands of a page.
type reader struct {
	path, tools string
	data        exhibit
	// redis is started for the first command that is run here.
	redis *redistest.Server
	dir   string
	env   []string
	// as writes what the page says as what is true here.
	as *strings.Replacer
	// changed is that the data are not those of the beginning.
	changed bool
}

// follow types the commands of a block. What they leave is gone afterwards.
func (r *reader) follow(t *testing.T, b block) {
	t.Helper()
	for _, s := range commandsOf(b) {
		// In the Pod it is the same program; what it is given there is in the Pod's environment.
		s.command = strings.Replace(s.command, inPod, "streamkeeper ", 1)
		if !s.runsHere() {
			checkElsewhere(t, r.path, s)
			continue
		}
		if r.redis == nil {
			r.sitDown(t)
			r.begin(t)
		}
		r.try(t, s)
	}
	if r.changed {
		r.begin(t)
	}
}

func (r *reader) sitDown(t *testing.T) {
	t.Helper()
	r.redis, r.dir = redistest.Start(t), t.TempDir()
	_, port, _ := strings.Cut(r.redis.Addr, ":")
	r.env = []string{
		"PATH=" + r.tools + ":" + os.Getenv("PATH"), "REDIS_PORT=" + port, "STREAMKEEPER_LISTEN=127.0.0.1:0",
	}
	r.as = strings.NewReplacer("localhost:6379", r.redis.Addr, "redis:6379", r.redis.Addr, "/var/lib/node_exporter/textfile", r.dir)
}

// begin puts the data into Redis, with a message that nobody can read and a consumer
// group, and a payload into a file.
func (r *reader) begin(t *testing.T) {
	t.Helper()
	ctx, client := t.Context(), r.redis.Client
	r.changed = false
	mustDo(t, client.FlushAll(ctx).Err())
	r.data.restore(t, client)
	mustDo(t, client.Do(ctx, "XADD", "stream:demo/simulator", "*", "id", "7", "data", r.data.payload[:len(r.data.payload)/2]).Err())
	mustDo(t, client.XGroupCreate(ctx, "stream:demo/car 22: Practice 1", "storage", "0").Err())
	mustDo(t, os.WriteFile(filepath.Join(r.dir, "burst.bin"), []byte(r.data.payload), 0o600))
}

// exhibit is what the demo finds in Redis at its start, as DUMP gives it, and a payload.
type exhibit struct {
	keys    map[string]string
	payload string
}

func (e exhibit) restore(t *testing.T, client *redis.Client) {
	t.Helper()
	pipe := client.Pipeline()
	for key, dump := range e.keys {
		pipe.Restore(t.Context(), key, 0, dump)
	}
	_, err := pipe.Exec(t.Context())
	mustDo(t, err)
}

// makeExhibit has the demo write its past, which takes long enough to do it once.
func makeExhibit(t *testing.T) exhibit {
	t.Helper()
	e, err := onlyExhibit()
	mustDo(t, err)
	return e
}

var onlyExhibit = sync.OnceValues(func() (e exhibit, err error) {
	dir, err := os.MkdirTemp("", "exhibit")
	if err != nil {
		return e, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	server, err := redistest.Launch(dir)
	if err != nil {
		return e, err
	}
	defer server.Stop()
	ctx, client := context.Background(), server.Client
	if err := demo.NewProducers(client, demo.Options{}).Seed(ctx); err != nil {
		return e, err
	}
	newest, err := client.XRevRangeN(ctx, "stream:demo/car 22: Practice 1", "+", "-", 1).Result()
	if err != nil {
		return e, err
	}
	e.payload, _ = newest[0].Values["data"].(string)
	e.keys = make(map[string]string)
	for _, key := range client.Keys(ctx, "*").Val() {
		if e.keys[key], err = client.Dump(ctx, key).Result(); err != nil {
			return e, err
		}
	}
	return e, nil
})

// try types one command, and stops it when it says that it is there.
func (r *reader) try(t *testing.T, s shown) {
	t.Helper()
	where := fmt.Sprintf("%s:%d: %s", r.path, s.line, s.command)
	output := new(program.Buffer)
	var stdout bytes.Buffer
	for i := range s.output {
		s.output[i] = r.as.Replace(s.output[i])
	}
	cmd := exec.CommandContext(t.Context(), "bash", "-c", r.as.Replace(s.command))
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = r.dir, r.env, &stdout, output
	if s.stays() {
		cmd.Stdout = output
	}
	if !strings.Contains(s.command, "RedisConnectionString") {
		cmd.Env = append(slices.Clone(r.env), "STREAMKEEPER_REDIS_URL="+r.redis.URL())
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	mustDo(t, cmd.Start())
	if s.stays() {
		awaitLife(t, where, output)
		mustDo(t, syscall.Kill(-cmd.Process.Pid, syscall.SIGINT))
	}
	_ = cmd.Wait()
	r.changed = r.changed || !regexp.MustCompile(`\b(plan|inspect|doctor|config|acl|version|help)\b`).MatchString(s.command)
	if code := cmd.ProcessState.ExitCode(); code != s.exit {
		t.Errorf("%s: exit %d, want %d\n%s%s", where, code, s.exit, first(stdout.String()), first(output.String()))
	}
	if missing := missingFrom(stdout.String(), s.output); missing != "" {
		t.Errorf("%s and what the page shows differ by\n%s\nIt prints\n%s", where, missing, first(stdout.String()))
	}
}

// first is as much of a text as a person will read.
func first(text string) string { return text[:min(len(text), 4000)] }

// awaitLife waits until a command that stays has begun its work.
func awaitLife(t *testing.T, where string, output *program.Buffer) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if regexp.MustCompile(`"started"|msg=started|status page|Producing`).MatchString(output.String()) {
			return
		}
	}
	t.Fatalf("%s says nothing of its being there:\n%s", where, output)
}

// missingFrom is a line of what a page shows that is not printed or, if the
// page shows no "…", the other way round. The order is not always the same.
func missingFrom(printed string, want []string) string {
	var have []string
	for line := range strings.Lines(printed) {
		if line = shapeOf(line); line != "" {
			have = append(have, line)
		}
	}
	whole := len(want) > 0
	for _, line := range want {
		shape, cut := strings.CutSuffix(shapeOf(line), "…")
		shape = strings.TrimSpace(shape)
		if shape == "" {
			whole = false
			continue
		}
		at := slices.IndexFunc(have, func(h string) bool { return h == shape || cut && strings.HasPrefix(h, shape) })
		if at < 0 {
			return line
		}
		have = slices.Delete(have, at, at+1)
	}
	if whole && len(have) > 0 {
		return have[0]
	}
	return ""
}

// shapeOf is a line without its figures, and without the spaces that align it.
func shapeOf(line string) string {
	return figures.ReplaceAllString(strings.Join(strings.Fields(line), " "), "#")
}

var figures = regexp.MustCompile(`\d[\d.,:]*(ns|µs|ms|s|m|h)?( \d[\d.]*(ms|s|m|h)\b)*`)

func TestWhatAPageShowsIsComparedWithWhatIsPrinted(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, printed, missing string
		want                   []string
	}{
		{"figures may differ", "trim  12 of 7 in 3ms\n", "", []string{"trim 0 of 8 in 465µs"}},
		{"words may not", "trim 1\n", "expire 1", []string{"expire 1"}},
		{"the order may", "a\nb\n", "", []string{"b", "a"}},
		{"dots stand for any lines", "a\nb\nc\n", "", []string{"a", "…"}},
		{"without them all is to be shown", "a\nb\n", "b", []string{"a"}},
		{"a line shown twice is printed twice", "a\nb\n", "a", []string{"a", "a", "b"}},
		{"at a line's end dots stand for its rest", "a b c\n", "", []string{"a b …"}},
		{"nothing shown, nothing compared", "a\n", "", nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := missingFrom(test.printed, test.want); got != test.missing {
				t.Errorf("missing %q, want %q", got, test.missing)
			}
		})
	}
}
