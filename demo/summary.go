package demo

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/streamkeeper/streamkeeper/buffer"
	"github.com/streamkeeper/streamkeeper/burst"
	"github.com/streamkeeper/streamkeeper/internal/human"
)

// nameWidth is how many columns a stream's name has in the summary.
const nameWidth = 34

// Summary is the story's end: a table of the streams, then what clean-up did.
func (s *Story) Summary() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var b strings.Builder
	fmt.Fprintf(&b, "After %s:\n\n", human.Duration(s.now().Sub(s.start).Round(time.Second)))
	fmt.Fprintf(&b, "  %-*s %8s %8s %8s %8s %8s\n", nameWidth, "STREAM", "ENTRIES", "REMOVED", "OK", "WARN", "INVALID")
	var removed int64
	var all [3]int64
	for _, name := range slices.Sorted(maps.Keys(s.streams)) {
		c := s.streams[name]
		removed += c.removed
		for i, n := range c.verdicts {
			all[i] += n
		}
		row(&b, buffer.Escape(name), c.length(), c.removed, c.verdicts)
	}
	row(&b, "together", "", removed, all)
	fmt.Fprintf(&b, "\n  %s expired, %s retired, %d restored.\n",
		counted(s.done["expire"], "session"), counted(s.done["retire"], "stream"), s.done["restore"])
	return b.String()
}

func row(b *strings.Builder, name, entries string, removed int64, verdicts [3]int64) {
	fmt.Fprintf(b, "  %-*s %8s %8s %8s %8s %8s\n", nameWidth, clip(name, nameWidth), entries, human.Count(removed),
		human.Count(verdicts[0]), human.Count(verdicts[1]), human.Count(verdicts[2]))
}

// length is what the summary says of a stream's entries.
func (c *chapter) length() string {
	switch {
	case c.gone:
		return "retired"
	case c.entries < 0:
		return "-"
	}
	return human.Count(c.entries)
}

// verdicts are the verdicts' names, the best first.
func verdicts() []string {
	var names []string
	for _, v := range burst.Verdicts() {
		names = append(names, v.String())
	}
	return names
}

// verdictCounts writes "30 ok, 2 invalid", without those that did not occur.
func verdictCounts(counts [3]int64) string {
	var parts []string
	for i, name := range verdicts() {
		if counts[i] > 0 {
			parts = append(parts, human.Count(counts[i])+" "+name)
		}
	}
	return strings.Join(parts, ", ")
}

// counted writes a number of things: "1 stream", "2 streams".
func counted(n int, thing string) string {
	if n != 1 {
		thing += "s"
	}
	return human.Count(n) + " " + thing
}
