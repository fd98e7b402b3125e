package jobs

import (
	"context"
	"log/slog"
	"slices"
	"time"

	"github.com/streamkeeper/streamkeeper/buffer"
	"github.com/streamkeeper/streamkeeper/internal/redisconn"
	"github.com/streamkeeper/streamkeeper/trim"
)

// trimSums are what one run has taken from streams, for the history.
type trimSums struct {
	buffer   *buffer.Buffer
	instance string
	log      *slog.Logger
	// streams are those that this run has trimmed.
	streams map[string]*buffer.TrimSum
	// oldest are the oldest entries that the run before has kept in its streams.
	oldest map[string]buffer.ID
}

// sumsPatience is how long writing the sums of a run may take.
const sumsPatience = 10 * time.Second

// newTrimSums is nil where nothing is recorded.
func newTrimSums(e Env) *trimSums {
	if e.History == nil || e.DryRun {
		return nil
	}
	return &trimSums{
		buffer: e.Buffer, instance: e.History.Instance(), log: e.log(Trim),
		streams: make(map[string]*buffer.TrimSum), oldest: make(map[string]buffer.ID),
	}
}

func (s *trimSums) add(stream string, reason trim.Reason, entries int64) {
	if s == nil {
		return
	}
	sum := s.streams[stream]
	if sum == nil {
		if len(s.streams) >= buffer.MaxTrimSums {
			return
		}
		sum = &buffer.TrimSum{Stream: stream, Instance: s.instance}
		s.streams[stream] = sum
	}
	sum.Entries += entries
	if !slices.Contains(sum.Reasons, string(reason)) {
		sum.Reasons = append(sum.Reasons, string(reason))
	}
}

// write adds the sums of a run to those of the hour. What goes wrong with that is
// logged, and the run is done all the same.
func (s *trimSums) write(ctx context.Context) {
	if s == nil || len(s.streams) == 0 {
		return
	}
	// A run that was told to end has trimmed all the same.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), sumsPatience)
	defer cancel()
	if err := s.sum(ctx); err != nil {
		s.log.Warn("trims not recorded", "streams", len(s.streams), "class", string(redisconn.ClassOf(err)), "error", err)
	}
	s.streams = make(map[string]*buffer.TrimSum)
}

func (s *trimSums) sum(ctx context.Context) error {
	now, err := s.buffer.Now(ctx)
	if err != nil && redisconn.ClassOf(err) != redisconn.ClassClock {
		return err
	}
	var names, unknown []string
	for name := range s.streams {
		names = append(names, name)
		if _, known := s.oldest[name]; !known {
			unknown = append(unknown, name)
		}
	}
	slices.Sort(names)
	before, err := s.buffer.OldestKept(ctx, now, unknown)
	if err != nil {
		return err
	}
	infos, err := s.buffer.Infos(ctx, names)
	if err != nil {
		return err
	}
	oldest, sums := make(map[string]buffer.ID, len(names)), make([]buffer.TrimSum, len(names))
	for i, name := range names {
		sums[i] = *s.streams[name]
		sums[i].Before, sums[i].After = s.oldest[name], infos[i].First
		if sums[i].Before.IsZero() {
			sums[i].Before = before[name]
		}
		oldest[name] = infos[i].First
	}
	s.oldest = oldest
	return s.buffer.SumTrims(ctx, now, sums)
}
