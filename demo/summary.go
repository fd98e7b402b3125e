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

// summaryWidth is how many columns a stream's name has in the summary.
const summaryWidth = 26

// Summary is the story's end: a table of the streams, then what clean-up did.
func (s *Story) Summary() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var b strings.Builder
	fmt.Fprintf(&b, "After %s:\n\n", human.Duration(s.now().Sub(s.start).Round(time.Second)))
	fmt.Fprintf(&b, "  %-*s %7s %9s %7s %7s %7s %7s\n", summaryWidth, "STREAM", "ENTRIES", "BYTES", "REMOVED", "OK", "WARN", "INVALID")
	var removed, bytes int64
	var all [3]int64
	for _, name := range slices.Sorted(maps.Keys(s.streams)) {
		c := s.streams[name]
		removed += c.removed
		bytes += c.held()
		for i, n := range c.verdicts {
			all[i] += n
		}
		row(&b, buffer.Escape(name), c.length(), c.held(), c.removed, c.verdicts)
	}
	row(&b, "together", "", bytes, removed, all)
	fmt.Fprintf(&b, "\n  %s expired, %s retired, %d restored.\n",
		counted(s.done["expire"], "session"), counted(s.done["retire"], "stream"), s.done["restore"])
	return b.String()
}

func row(b *strings.Builder, name, entries string, bytes, removed int64, verdicts [3]int64) {
	memory := "-"
	if bytes > 0 {
		memory = human.Bytes(bytes)
	}
	fmt.Fprintf(b, "  %-*s %7s %9s %7s %7s %7s %7s\n", summaryWidth, clip(name, summaryWidth), entries, memory, human.Count(removed),
		human.Count(verdicts[0]), human.Count(verdicts[1]), human.Count(verdicts[2]))
}

// held is how many bytes the entries of a stream take in memory at the end, 0 if that
// is not known.
func (c *chapter) held() int64 {
	if c.gone {
		return 0
	}
	return c.bytes
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
