package doctor

import (
	"context"

	"github.com/streamkeeper/streamkeeper/buffer"
)

// maxTrims is of how many streams it is asked what we trimmed.
const maxTrims = 1000

// readTrims asks what we trimmed from those streams of a page that lack entries.
func (e *examination) readTrims(ctx context.Context, page []Stream) error {
	var lacking []*Stream
	var names []string
	for i := range page {
		if s := &page[i]; s.lacksEntries() && e.askedTrims < maxTrims {
			e.askedTrims++
			lacking, names = append(lacking, s), append(names, s.Name)
		}
	}
	if len(names) == 0 {
		return nil
	}
	sums, err := e.b.TrimSums(ctx, e.now, names)
	if err == nil && e.askedTrims == len(names) {
		err = e.readTrimHours(ctx)
	}
	if !e.unread.note(factTrims, err) {
		return err
	}
	for _, s := range lacking {
		s.Recorded = !e.fullHours && e.unread[factHistory] == nil && e.server.History.Missing == 0
		for _, sum := range sums {
			if buffer.NotedAs(s.Name, sum.Stream) {
				s.Sums = append(s.Sums, sum)
			}
		}
	}
	return nil
}

// readTrimHours finds out whether there were hours in which more streams were
// trimmed than have a sum.
func (e *examination) readTrimHours(ctx context.Context) error {
	hours, err := e.b.TrimHoursKept(ctx, e.now)
	for _, hour := range hours {
		e.fullHours = e.fullHours || hour.Streams >= buffer.MaxTrimSums
	}
	return err
}
