package cli

import (
	"context"
	"log/slog"
	"slices"
	"time"

	"github.com/streamkeeper/streamkeeper/buffer"
	"github.com/streamkeeper/streamkeeper/internal/jobs"
	"github.com/streamkeeper/streamkeeper/internal/redisconn"
	"github.com/streamkeeper/streamkeeper/report"
	"github.com/streamkeeper/streamkeeper/web"
)

// pausesEvery is how often a daemon looks what is paused, to say so.
const pausesEvery = 5 * time.Second

// pauseBoard is what a daemon knows of pauses, whether it leads or not.
type pauseBoard struct {
	held buffer.Pauses
	// trouble is why they could not be read at the last try.
	trouble string
}

// watchPauses says in the log when a pause begins and ends, and keeps the page and
// the metrics up to date. The jobs read the pauses themselves.
func (d *daemon) watchPauses(ctx context.Context) {
	for {
		wait := time.Second // until Redis was reached
		if now := d.now.Load(); now != nil {
			wait = pausesEvery
			held, err := now.buffer.Pauses(ctx)
			if ctx.Err() != nil {
				return
			}
			d.notePauses(held, err)
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
	}
}

// notePauses takes in what is paused now.
func (d *daemon) notePauses(held buffer.Pauses, err error) {
	d.mu.Lock()
	before := d.paused
	if err != nil {
		d.paused.trouble = err.Error()
	} else {
		d.paused = pauseBoard{held: held}
	}
	d.mu.Unlock()
	if err != nil {
		if before.trouble == "" {
			d.log.Warn("cannot read pauses", "class", string(redisconn.ClassOf(err)), "error", err)
		}
		return
	}
	logChanges(d.log, before.held, held)
	for _, job := range jobs.All() {
		d.observers.Paused(job.Name, len(held.Of(job.Name, jobs.Removes(job.Name))) > 0)
	}
}

// logChanges says which pauses began and which ended.
func logChanges(log *slog.Logger, before, now buffer.Pauses) {
	has := func(all buffer.Pauses, p buffer.Pause) bool {
		return slices.ContainsFunc(all, func(q buffer.Pause) bool { return q.ID == p.ID })
	}
	for _, p := range now {
		if !has(before, p) {
			log.Warn("paused", "id", buffer.Escape(p.ID), "what", p.What(), "until", p.Until.Format(time.RFC3339), "reason", buffer.Escape(p.Reason),
				"to_end", "streamkeeper resume "+buffer.Escape(p.ID))
		}
	}
	for _, p := range before {
		if !has(now, p) {
			log.Info("pause ended", "id", buffer.Escape(p.ID), "what", p.What())
		}
	}
}

// pausesStatus are the pauses for the page.
func (d *daemon) pausesStatus() (all []web.Pause, trouble string) {
	d.mu.Lock()
	board := d.paused
	d.mu.Unlock()
	for i, p := range report.NewPauses(board.held) {
		all = append(all, web.Pause{
			ID: p.ID, Job: p.Job, Stream: p.Stream, Since: p.Since, Until: p.Until, Reason: p.Reason, What: board.held[i].What(),
		})
	}
	return all, board.trouble
}
