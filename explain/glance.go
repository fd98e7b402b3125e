package explain

import (
	"context"

	"github.com/streamkeeper/streamkeeper/buffer"
	"github.com/streamkeeper/streamkeeper/cleanup"
)

// Known is what a daemon knows without asking Redis.
type Known struct {
	// Judgement is what the last clean-up made of sessions and streams; where there is
	// none, Unjudged says why.
	Judgement *Judgement
	Unjudged  string
	// Brake is why the guard stopped that clean-up, "" if it did not.
	Brake string
	// Memory is what the entries of the stream took at the last reading; nil if that is
	// not known.
	Memory *buffer.EntryMemory
	// Paused says of which streams clean-up removes nothing now; nil for none.
	Paused func(stream string) bool
	// Removals are the newest of the history, the newest first, and Trouble is why
	// they cannot be read.
	Removals []buffer.Removal
	Trouble  string
}

// Glance is [Explain] of one stream at a bounded price: it asks for this stream
// alone, and takes the rest from what is known already. The sessions are those of
// the last clean-up, and the history is no longer than what is known of it.
func Glance(ctx context.Context, b *buffer.Buffer, o Options, name string, known Known) (Result, error) {
	now, err := b.Now(ctx)
	if err != nil {
		return Result{}, err
	}
	mayLoseMore := o.Trim.Relieves()
	o.Trim.Pressure = 0 // what it takes of one stream depends on all
	e := newExplanation(b, o, []string{name})
	r := Result{Now: now, Limits: o.Cleanup.Limits, TrimOff: o.TrimOff, CleanupOff: o.CleanupOff, Brake: known.Brake}
	e.memory = func(ctx context.Context, name string) (buffer.EntryMemory, error) {
		if known.Memory != nil {
			return *known.Memory, nil
		}
		// Where Redis does not tell, the rest is worth to be said.
		m, _ := e.memoryOf(ctx, name)
		return m, nil
	}
	if err := e.read(ctx); err != nil {
		return r, err
	}
	if !o.TrimOff {
		if err := e.planTrim(ctx); err != nil {
			return r, err
		}
	}
	e.streams[name].MayLoseMore = mayLoseMore
	known.describe(e.streams[name])
	r.Record = Record{Off: o.HistoryOff, Trouble: known.Trouble}
	if !o.HistoryOff {
		for _, removal := range known.Removals {
			e.remember(removal)
		}
		if err := e.readTrims(ctx, now); err != nil {
			r.Record.Trouble = err.Error()
		}
	}
	r.Answers = []Answer{e.answer(name, now)}
	return r, nil
}

// describe says what the last clean-up made of a stream.
func (k Known) describe(s *Stream) {
	if s.Others {
		return
	}
	s.Unjudged = k.Unjudged
	if k.Judgement == nil || s.Unjudged != "" {
		return
	}
	j, known := k.Judgement.of(s.Name)
	if !known {
		s.Unjudged = "the last clean-up came to more streams and sessions than are kept in mind"
		return
	}
	paused := k.Paused
	if paused == nil {
		paused = func(string) bool { return false }
	}
	s.Named = j.named
	for _, session := range j.sessions {
		s.Sessions = append(s.Sessions, session.whilePaused(paused))
	}
	if j.fate != nil {
		s.Fate = j.fate.whilePaused(paused)
	}
	if j.restored != "" {
		s.Fate = &Fate{Fate: cleanup.Keep, Reason: j.restored}
	}
	if s.Named == 0 && s.Fate == nil {
		s.Unjudged = "the last clean-up found no session that names it, and did not judge it: it may be newer, or a session that cannot be read may name it"
	}
}
