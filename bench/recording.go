package main

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/streamkeeper/streamkeeper/buffer"
	"github.com/streamkeeper/streamkeeper/buffer/registry"
	"github.com/streamkeeper/streamkeeper/cleanup"
	"github.com/streamkeeper/streamkeeper/history"
	"github.com/streamkeeper/streamkeeper/internal/jobs"
	"github.com/streamkeeper/streamkeeper/trim"
	"github.com/streamkeeper/streamkeeper/trim/sweep"
)

// recording is what a run leaves behind.
type recording struct{ history, copies bool }

// measureRecording is a run over many busy streams and stale sessions that records
// what it removes, and keeps copies, beside one that does not.
func measureRecording(ctx context.Context, l *lab) ([]verdict, error) {
	if err := l.seedTemplate(ctx, busyKeep+busySurplus, busyBytes); err != nil {
		return nil, err
	}
	streams := make([]string, l.size(20_000))
	for i := range streams {
		streams[i] = fmt.Sprintf("car-%07d", i)
	}
	stale := l.size(staleCount)
	if err := l.seedSessions(ctx, registry.Object, stale, 2*stale, 0); err != nil {
		return nil, err
	}
	r, err := l.interleave(ctx, l.recordingSide("without", streams, stale, recording{}),
		l.recordingSide("history", streams, stale, recording{history: true}),
		l.recordingSide("copies", streams, stale, recording{history: true, copies: true}))
	if err != nil {
		return nil, err
	}
	without, recorded, copied := r.median("without", "s"), r.median("history", "s"), r.median("copies", "s")
	work := fmt.Sprintf("recording %d busy streams, %d expired sessions", len(streams), stale)
	parts := func(side string) string {
		return fmt.Sprintf("trim %s, clean-up %s", seconds(r.median(side, "trim")), seconds(r.median(side, "cleanup")))
	}
	return []verdict{
		{work: work, ours: seconds(recorded), other: seconds(without) + " without", ratio: recorded / without, unit: "×", bound: 1.05,
			note: parts("history") + "; without: " + parts("without")},
		{work: work + ", copies too", ours: seconds(copied), other: seconds(without) + " without", ratio: copied / without, unit: "×", bound: 1.25, note: parts("copies")},
	}, nil
}

func (l *lab) recordingSide(name string, streams []string, stale int, what recording) side {
	return side{name, func(ctx context.Context) (figures, error) {
		if err := l.forget(ctx); err != nil {
			return nil, err
		}
		if err := l.copyTemplate(ctx, streams); err != nil {
			return nil, err
		}
		if err := l.seedSessions(ctx, registry.Object, 0, stale, 48*time.Hour); err != nil {
			return nil, err
		}
		b, err := l.opened(ctx)
		if err != nil {
			return nil, err
		}
		env := recordingEnv(b, what)
		found := figures{}
		started := time.Now()
		for _, name := range []string{jobs.Trim, jobs.Cleanup} {
			before := time.Now()
			if err := runJob(ctx, env, name, len(streams)*busySurplus, stale); err != nil {
				return nil, err
			}
			found[name] = time.Since(before).Seconds()
		}
		found["s"] = time.Since(started).Seconds()
		return found, nil
	}}
}

// recordingEnv is what once works with.
func recordingEnv(b *buffer.Buffer, what recording) jobs.Env {
	always := jobs.When{Enabled: true}
	o := jobs.Options{
		Trim: jobs.TrimOptions{When: always, Options: sweep.Options{Policies: trim.Policies{Default: trim.Policy{MaxLength: busyKeep}}}},
		Cleanup: jobs.CleanupOptions{When: always, Options: cleanup.Options{
			Limits: cleanup.Limits{ExpireAfter: cleanup.DefaultExpireAfter, RetireAfter: cleanup.DefaultRetireAfter}, Guard: cleanup.DefaultGuard, Force: true,
		}},
	}
	if what.copies {
		o.Cleanup.Undo = cleanup.Undo{For: cleanup.DefaultUndoFor, MaxBytes: cleanup.DefaultUndoMaxBytes}
	}
	env := jobs.Env{Options: o, Buffer: b, Metrics: jobs.NewMetrics(o, jobs.Process{Once: jobs.All()}), Unwatched: true, Log: slog.New(slog.DiscardHandler)}
	if what.history {
		env.History = history.New(b, history.Options{Length: buffer.DefaultHistoryLength, Instance: "streamkeeper-7d9f8b6c5d-x2x4z/1"})
	}
	return env
}

func runJob(ctx context.Context, env jobs.Env, name string, entries, sessions int) error {
	job, err := jobs.Named(name)
	if err != nil {
		return err
	}
	result, err := jobs.NewRunner(env, job).Run(ctx)
	if err != nil {
		return err
	}
	switch r := result.(type) {
	case *jobs.TrimResult:
		if r.EntriesRemoved != int64(entries) {
			return fmt.Errorf("removed %d entries, want %d", r.EntriesRemoved, entries)
		}
	case *jobs.CleanupResult:
		if r.SessionsExpired != int64(sessions) {
			return fmt.Errorf("removed %d sessions, want %d", r.SessionsExpired, sessions)
		}
	}
	return nil
}

// forget removes what earlier runs left under the state prefix.
func (l *lab) forget(ctx context.Context) error {
	keys, err := l.rdb().Keys(ctx, buffer.DefaultNames.StatePrefix+"*").Result()
	if err != nil || len(keys) == 0 {
		return err
	}
	return l.rdb().Del(ctx, keys...).Err()
}
