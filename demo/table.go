package demo

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/streamkeeper/streamkeeper/buffer"
	"github.com/streamkeeper/streamkeeper/internal/human"
)

// nameWidth is how many columns a stream's name has in the table at most.
const nameWidth = 34

// Rows are the streams as they stand now, for a table that is kept in place: a
// row a stream, with an empty one before them. The names give way where it is
// narrow.
func (s *Story) Rows(width int) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	const others = 49 // columns beside the name
	name := min(nameWidth, max(10, width-others))
	line := func(cells ...any) string {
		return fmt.Sprintf("  %-*s %8s %9s  %-17s  %s", append([]any{name}, cells...)...)
	}
	rows := []string{"", line("STREAM", "LENGTH", "COVERAGE", "LAST TRIM", "VERDICT")}
	for _, stream := range slices.Sorted(maps.Keys(s.streams)) {
		c := s.streams[stream]
		coverage, trim, verdict := "-", "-", "-"
		if c.entries >= 0 && !c.gone {
			coverage = human.Duration(c.coverage)
		}
		if c.trim > 0 && !c.gone {
			trim = fmt.Sprintf("%s ago, −%s", human.Duration(s.now().Sub(c.trimmed).Truncate(time.Second)), human.Count(c.trim))
		}
		if c.verdict != "" {
			verdict = c.verdict
		}
		rows = append(rows, line(clip(buffer.Escape(stream), name), c.length(), coverage, trim, verdict))
	}
	return rows
}
