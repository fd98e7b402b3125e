package jobs

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/streamkeeper/streamkeeper/buffer"
	"github.com/streamkeeper/streamkeeper/internal/human"
	"github.com/streamkeeper/streamkeeper/trim"
)

// leftover gathers why entries stay in a run for some streams: who makes room has to
// know what to ask for instead.
type leftover struct {
	protected map[trim.Protector]*protectedEntries
	// rests are streams over a limit by a part of a macro node, and kept those of which
	// everything is kept.
	rests, kept int64
}

type protectedEntries struct{ streams, entries int64 }

// add takes in what protects entries of a stream.
func (l *leftover) add(protected []trim.Protection) {
	var seen []trim.Protector
	for _, p := range protected {
		if p.IsRest() {
			l.rests++
			continue
		}
		if l.protected == nil {
			l.protected = make(map[trim.Protector]*protectedEntries)
		}
		sum := l.protected[p.By]
		if sum == nil {
			sum = new(protectedEntries)
			l.protected[p.By] = sum
		}
		sum.entries += p.Entries
		if !slices.Contains(seen, p.By) {
			seen = append(seen, p.By)
			sum.streams++
		}
	}
}

// countKept counts the streams of which everything is kept.
func (l *leftover) countKept(ctx context.Context, b *buffer.Buffer, policies trim.Policies) error {
	return b.WalkStreams(ctx, func(names []string) error {
		for _, name := range names {
			if policies.For(name).KeepsAll() {
				l.kept++
			}
		}
		return nil
	})
}

// sentence says why no more went of so many streams, of which so many were trimmed.
func (l *leftover) sentence(policies trim.Policies, streams, trimmed int64) string {
	var parts []string
	for _, by := range trim.Protectors {
		if sum := l.protected[by]; sum != nil {
			parts = append(parts, fmt.Sprintf("%s over a limit in %s %s", human.Plural(sum.entries, "entry"), human.Plural(sum.streams, "stream"), stays[by]))
		}
	}
	if l.kept > 0 {
		parts = append(parts, human.Plural(l.kept, "stream")+" kept whole (keep=all, or no limit)")
	}
	if l.rests > 0 {
		parts = append(parts, human.Plural(l.rests, "stream")+" over a limit by a part of a macro node")
	}
	if trimmed == 0 && streams > l.kept && len(l.protected) == 0 && l.rests == 0 {
		others := "no stream is"
		if l.kept > 0 {
			others = "no other is"
		}
		parts = append(parts, others+" over its limit: "+policies.Default.String())
	}
	return strings.Join(parts, "; ")
}

// stays says why entries stay, by what protects them.
var stays = map[trim.Protector]string{
	trim.ProtectedByAge:   "stay, as they are younger than their min_age (TRIM_MIN_AGE)",
	trim.ProtectedByGroup: "stay, as a consumer group needs them",
	trim.ProtectedByPause: "stay, as they are paused (--ignore-pause)",
	trim.ProtectedByNode:  "stay, in macro nodes with entries that stay",
}
