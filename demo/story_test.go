package demo

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// stage is a story with a clock that the test sets.
type stage struct {
	*Story
	out strings.Builder
	now time.Time
}

func newStage() *stage {
	s := &stage{now: testStart}
	s.Story = newStory(&s.out, func() time.Time { return s.now })
	return s
}

func (s *stage) at(seconds float64) *stage {
	s.now = testStart.Add(time.Duration(seconds * float64(time.Second)))
	return s
}

func (s *stage) expect(t *testing.T, want string) {
	t.Helper()
	if got := s.out.String(); got != strings.TrimPrefix(want, "\n") {
		t.Errorf("the story is\n%s\nwant\n%s", got, want)
	}
	for line := range strings.Lines(s.out.String()) {
		if n := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); n > lineWidth {
			t.Errorf("%d columns: %s", n, line)
		}
	}
}

func TestTrimmingIsToldOnceAStreamAndThenNowAndThen(t *testing.T) {
	s := newStage()
	for second := range 13 {
		s.at(float64(second)).Trimmed("demo/a", 10)
		if second > 2 {
			s.Trimmed("demo/b", 20)
		}
	}
	s.expect(t, `
   0.0s  trimmed    demo/a: removes the oldest 10 entries, keeps the newest 100
   3.0s  trimmed    demo/b: removes the oldest 20 entries, keeps the newest 100
   5.0s  held       2 streams at 100 entries: 70 more removed
  10.0s  held       2 streams at 100 entries: 150 more removed
`)
}

func TestEachActionOfCleanUpIsALine(t *testing.T) {
	s := newStage()
	s.at(10).Cleaned("expire", "demo/pit", "demo/pit", "not updated for 7s (limit 6s)")
	s.at(12).Cleaned("retire", "", "demo/pit", "no session, last entry 9s ago (limit 8s)")
	s.at(13).Cleaned("drop-name", "", "demo/x", "no session, no key since 9s (limit 8s)")
	s.at(16.5).Cleaned("restore", "", "demo/pit", "retired before, and has a key again")
	s.expect(t, `
  10.0s  expired    session demo/pit: not updated for 7s (limit 6s)
  12.0s  retired    stream demo/pit: no session, last entry 9s ago (limit 8s)
  13.0s  dropped    stream demo/x: no session, no key since 9s (limit 8s)
  16.5s  restored   stream demo/pit: retired before, and has a key again
`)
}

func TestAFindingIsToldOnceAndCountedAfterwards(t *testing.T) {
	s := newStage()
	for second := range 8 {
		s.at(float64(second)).Inspected("demo/good", "ok", nil)
		s.Inspected("demo/sim", "invalid", []string{"unreadable"})
	}
	s.Inspected("demo/sim", "invalid", []string{"wrong_wire_type", "not_utf8"})
	s.expect(t, `
   0.0s  invalid    demo/sim: unreadable
   5.0s  inspected  11 messages: 6 ok, 5 invalid
   7.0s  invalid    demo/sim: wrong_wire_type, not_utf8
`)
}

func TestALineNeverGoesBeyondTheTerminalNorHarmsIt(t *testing.T) {
	s := newStage()
	s.Cleaned("expire", "demo/\x1b[2J"+strings.Repeat("ü", 200), "", "because "+strings.Repeat("of this ", 30))
	s.expect(t, "   0.0s  expired    session demo/\\x1b[2J"+strings.Repeat("ü", 29)+"…: "+
		"because of this of this of …\n")
}

func TestTheSummaryCountsByStream(t *testing.T) {
	s := newStage()
	s.Trimmed("demo/a", 1234)
	s.Holds("demo/a", 104, 150<<10, 10*time.Second)
	s.Holds("demo/pit", 7, 10<<10, 0)
	s.Inspected("demo/a", "ok", nil)
	s.Inspected("demo/sim", "invalid", []string{"unreadable"})
	s.Cleaned("expire", "demo/pit", "demo/pit", "")
	s.Cleaned("retire", "", "demo/pit", "")
	s.at(20)
	want := `After 20s:

  STREAM                     ENTRIES     BYTES REMOVED      OK    WARN INVALID
  demo/a                         104 150.0 KiB   1 234       1       0       0
  demo/pit                   retired         -       0       0       0       0
  demo/sim                         -         -       0       0       0       1
  together                           150.0 KiB   1 234       1       0       1

  1 session expired, 1 stream retired, 0 restored.
`
	if got := s.Summary(); got != want {
		t.Errorf("the summary is\n%s\nwant\n%s", got, want)
	}
}

func TestTheTableShowsHowEachStreamStands(t *testing.T) {
	s := newStage()
	s.Trimmed("demo/a", 1234)
	s.at(3).Holds("demo/a", 104, 1, 10300*time.Millisecond)
	s.Holds("demo/b", 0, 0, 0)
	s.Inspected("demo/a", "ok", nil)
	s.Inspected("demo/simulator\x1b", "ok", nil)
	s.Inspected("demo/simulator\x1b", "invalid", []string{"unreadable"})
	s.Cleaned("retire", "", "demo/pit", "")
	want := `
  STREAM                               LENGTH  COVERAGE  LAST TRIM          VERDICT
  demo/a                                  104       10s  3s ago, −1 234     ok
  demo/b                                    0        0s  -                  -
  demo/pit                            retired         -  -                  -
  demo/simulator\x1b                        -         -  -                  invalid`
	if got := strings.Join(s.Rows(lineWidth), "\n"); got != want {
		t.Errorf("the table is\n%s\nwant\n%s", got, want)
	}
	if narrow := s.Rows(60); len(narrow) != 6 || utf8.RuneCountInString(narrow[1]) > 60 {
		t.Errorf("on a narrow terminal it is\n%s", strings.Join(narrow, "\n"))
	}
}
