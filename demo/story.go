package demo

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/streamkeeper/streamkeeper/buffer"
	"github.com/streamkeeper/streamkeeper/internal/human"
)

const (
	// lineWidth is how many columns a line of the story takes at most.
	lineWidth = 100
	// calm is the time between two lines about what goes on all the while.
	calm = 5 * time.Second
)

// Story says what streamkeeper does, an event a line: what is new at once, and
// what goes on all the while every now and then. Its methods may be called
// from several goroutines.
type Story struct {
	out   io.Writer
	now   func() time.Time
	start time.Time

	mu      sync.Mutex
	streams map[string]*chapter
	// done counts the actions of clean-up by kind.
	done    map[string]int
	trims   digest
	checks  digest
	removed int64
	checked [3]int64 // ok, warn, invalid
}

// chapter is what happened to one stream.
type chapter struct {
	entries  int64 // -1 while not known
	bytes    int64 // in memory, 0 while not known
	coverage time.Duration
	removed  int64
	verdicts [3]int64
	// The last trim, and the last verdict.
	trimmed time.Time
	trim    int64
	verdict string
	// told holds the findings that had a line of their own.
	told map[string]bool
	gone bool
}

// digest says when it is time for a line about many events.
type digest struct{ last time.Time }

// due reports whether the line is due, and if so begins the next one. The
// first event only begins.
func (d *digest) due(now time.Time) bool {
	if d.last.IsZero() {
		d.last = now
		return false
	}
	if now.Sub(d.last) < calm {
		return false
	}
	d.last = now
	return true
}

// NewStory begins a story, now, that is told to out.
func NewStory(out io.Writer) *Story { return newStory(out, time.Now) }

func newStory(out io.Writer, now func() time.Time) *Story {
	return &Story{
		out: out, now: now, start: now(),
		streams: make(map[string]*chapter), done: make(map[string]int),
	}
}

// Trimmed tells of entries that went from a stream.
func (s *Story) Trimmed(stream string, entries int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.chapter(stream)
	if c.removed == 0 {
		s.say("trimmed", stream, fmt.Sprintf("removes %s, keeps the newest %d", oldest(entries), MaxLength))
	} else {
		s.removed += entries
	}
	c.removed += entries
	c.trimmed, c.trim = s.now(), entries
	if s.trims.due(s.now()) && s.removed > 0 {
		s.line("held", fmt.Sprintf("%s at %d entries: %s more removed", counted(s.trimmedStreams(), "stream"), MaxLength, human.Count(s.removed)))
		s.removed = 0
	}
}

func oldest(entries int64) string {
	if entries == 1 {
		return "the oldest entry"
	}
	return "the oldest " + human.Count(entries) + " entries"
}

func (s *Story) trimmedStreams() int {
	n := 0
	for _, c := range s.streams {
		if c.removed > 0 && !c.gone {
			n++
		}
	}
	return n
}

// Cleaned tells of an action of clean-up, by the kind that plan gives it. The
// session is that of an expire or abandon.
func (s *Story) Cleaned(kind, session, stream, reason string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.done[kind]++
	switch kind {
	case "expire", "abandon":
		s.say(pastTense(kind), "session "+session, reason)
	case "retire", "drop-name":
		s.chapter(stream).gone = true
		s.say(pastTense(kind), "stream "+stream, reason)
	default:
		s.chapter(stream).gone = false
		s.say(pastTense(kind), "stream "+stream, reason)
	}
}

// Inspected tells of the verdict on one message, and of its reasons.
func (s *Story) Inspected(stream, verdict string, reasons []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := slices.Index(verdicts(), verdict)
	if i < 0 {
		return
	}
	c := s.chapter(stream)
	c.verdict = verdict
	c.verdicts[i]++
	s.checked[i]++
	if why := strings.Join(reasons, ", "); i > 0 && !c.told[why] {
		c.told[why] = true
		s.say(verdict, stream, why)
	}
	if s.checks.due(s.now()) {
		all := s.checked[0] + s.checked[1] + s.checked[2]
		s.line("inspected", fmt.Sprintf("%s messages: %s", human.Count(all), verdictCounts(s.checked)))
		s.checked = [3]int64{}
	}
}

// Holds notes, without a word, how many entries a stream has, how many bytes they
// take in memory, and how much of the past they are.
func (s *Story) Holds(stream string, entries, bytes int64, coverage time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.chapter(stream)
	c.entries, c.bytes, c.coverage = entries, bytes, coverage
}

func (s *Story) chapter(stream string) *chapter {
	c := s.streams[stream]
	if c == nil {
		c = &chapter{entries: -1, told: make(map[string]bool)}
		s.streams[stream] = c
	}
	return c
}

// say tells one thing about one name; what does not fit is left out.
func (s *Story) say(verb, name, what string) {
	name = clip(buffer.Escape(name), lineWidth/2)
	s.line(verb, name+": "+what)
}

func (s *Story) line(verb, text string) {
	head := fmt.Sprintf("%6.1fs  %-9s  ", s.now().Sub(s.start).Seconds(), verb)
	fmt.Fprintln(s.out, clip(head+text, lineWidth))
}

// clip shortens a text to so many columns.
func clip(text string, columns int) string {
	if utf8.RuneCountInString(text) <= columns {
		return text
	}
	return string([]rune(text)[:columns-1]) + "…"
}

// pastTense says that an action was carried out: "retire" becomes "retired".
func pastTense(kind string) string {
	if kind == "drop-name" {
		return "dropped"
	}
	return strings.TrimSuffix(kind, "e") + "ed"
}
