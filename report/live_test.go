package report

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/streamkeeper/streamkeeper/inspect"
	"github.com/streamkeeper/streamkeeper/internal/jobs"
	"github.com/streamkeeper/streamkeeper/trim/sweep"
)

// terminal understands what a Live table sends, and counts the writes.
type terminal struct {
	t        *testing.T
	lines    []string
	row      int
	noCursor bool
	noWrap   bool
	writes   int
}

func (s *terminal) Write(p []byte) (int, error) {
	s.writes++
	for rest := string(p); rest != ""; {
		if !strings.HasPrefix(rest, "\x1b[") {
			text, _, _ := strings.Cut(rest, "\x1b")
			s.print(text)
			rest = rest[len(text):]
			continue
		}
		end := strings.IndexFunc(rest[2:], func(r rune) bool { return r >= 'A' && r <= 'z' }) + 3
		s.do(rest[2:end])
		rest = rest[end:]
	}
	if s.noCursor || s.noWrap {
		s.t.Error("a frame left the terminal as it should not be")
	}
	return len(p), nil
}

func (s *terminal) print(text string) {
	for i, part := range strings.Split(strings.ReplaceAll(text, "\r", ""), "\n") {
		if i > 0 {
			s.row++
		}
		for len(s.lines) <= s.row {
			s.lines = append(s.lines, "")
		}
		if part != "" { // written over, from the left; what is longer stays
			s.lines[s.row] = part + s.lines[s.row][min(len(part), len(s.lines[s.row])):]
			s.lines[s.row] = strings.Replace(s.lines[s.row], part, part+"\x00", 1)
		}
	}
}

func (s *terminal) do(command string) {
	var n int
	switch command {
	case "?25l", "?25h":
		s.noCursor = command == "?25l"
	case "?7l", "?7h":
		s.noWrap = command == "?7l"
	case "K":
		s.lines[s.row], _, _ = strings.Cut(s.lines[s.row], "\x00")
	case "J":
		s.lines = append(s.lines[:min(s.row, len(s.lines))], "")
	default:
		if _, err := fmt.Sscanf(command, "%dA", &n); err != nil {
			s.t.Errorf("the terminal does not know %q", command)
		}
		s.row -= n
	}
}

func (s *terminal) shows(want ...string) {
	s.t.Helper()
	text := strings.ReplaceAll(strings.Join(s.lines, "\n"), "\x00", "")
	if text != strings.Join(want, "\n") {
		s.t.Errorf("the terminal shows\n%s\nwant\n%s", text, strings.Join(want, "\n"))
	}
}

func TestATableStaysInPlaceWhileLinesGoBy(t *testing.T) {
	screen := &terminal{t: t}
	l := NewLive(screen, func() (int, int) { return 20, 5 })
	fmt.Fprintln(l, "begins")
	frames := make(chan []string)
	ticks := make(chan time.Time)
	l.start(func(int) []string { return <-frames }, ticks, func() {})
	draw := func(rows ...string) { // returns once the frame before it is drawn
		ticks <- time.Time{}
		frames <- rows
	}
	settle := func() { draw("x", "settled"); draw("x", "settled") }
	draw("name  length", "a     5", "b     1000")
	draw("name  length", "a     6")
	settle()
	screen.shows("begins", "x", "settled", "")
	fmt.Fprintln(l, "a line that is longer than the terminal is wide")
	screen.shows("begins", "a line that is longer than the terminal is wide", "x", "settled", "")
	writes := screen.writes
	settle()
	if screen.writes != writes {
		t.Error("a frame was written that changed nothing")
	}
	draw("1", "2", "3", "4", "5", strings.Repeat("w", 30))
	l.Done()
	screen.shows("begins", "a line that is longer than the terminal is wide", "")
	fmt.Fprintln(l, "ends")
	l.Done()
	screen.shows("begins", "a line that is longer than the terminal is wide", "ends", "")
}

func TestRowsThatDoNotFitAreCutOff(t *testing.T) {
	got := fit([]string{"12345678", "ünïcödé!", "3", "4"}, 6, 3)
	if want := []string{"12345…", "ünïcö…", "3"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	if got := fit([]string{"1"}, 0, 0); len(got) != 0 {
		t.Errorf("on no terminal at all: %q", got)
	}
}

func TestATableIsNowhereButOnATerminal(t *testing.T) {
	var out bytes.Buffer
	l := NewLive(&out, nil)
	l.Start(func(int) []string { t.Error("it is drawn"); return nil })
	fmt.Fprint(l, "a line\nand a part")
	l.Done()
	if l.On() || out.String() != "a line\nand a part" {
		t.Errorf("on %v, and it wrote %q", l.On(), out.String())
	}
}

func TestTheBoardShowsHowFarTheJobsAre(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	b := NewBoard([]string{"trim", "cleanup", "inspect"}, false)
	b.now = func() time.Time { return now }
	var all bytes.Buffer
	show := func() { fmt.Fprintln(&all, strings.Join(b.Rows(100), "\n")+"\n") }
	show()
	b.Start("trim")
	now = now.Add(4 * time.Second)
	b.Doing("trim", jobs.TrimProgress(sweep.Progress{Streams: 100_000, Entries: 5_000_000, Waiting: 3}, 4*time.Second))
	show()
	trimmed := &jobs.TrimResult{Head: jobs.Head{Job: "trim", OK: true, Seconds: 6}, Streams: 100_000, StreamsTrimmed: 12, EntriesRemoved: 8_000_000, BytesRemoved: 3 << 30}
	b.End(trimmed)
	b.Start("cleanup")
	now = now.Add(90 * time.Second)
	show()
	cleanup := &jobs.CleanupResult{Head: jobs.Head{Job: "cleanup", OK: true, Seconds: 90}, Sessions: 40, Streams: 120, Brake: "30 of 40 sessions would expire"}
	b.End(cleanup)
	b.Start("inspect")
	b.Doing("inspect", jobs.InspectProgress(inspect.Progress{Streams: 12, Messages: 36}))
	show()
	compareGolden(t, "board", all.Bytes())
}
