package explain

import (
	"context"
	"strings"
	"time"

	"github.com/streamkeeper/streamkeeper/buffer"
	"github.com/streamkeeper/streamkeeper/buffer/registry"
	"github.com/streamkeeper/streamkeeper/cleanup"
)

// Past is what the history has of a name.
type Past struct {
	// Removals are the last ones, the newest first, and More is how many there are
	// beyond them.
	Removals []buffer.Removal
	More     int64
}

// maxPast is how many removals of a name are kept.
const maxPast = 5

func (p *Past) add(r buffer.Removal) {
	if len(p.Removals) < maxPast {
		p.Removals = append(p.Removals, r)
	} else {
		p.More++
	}
}

// Record is what is known of what was removed.
type Record struct {
	// Off: nothing is recorded. Trouble says why it cannot be read, "" if it can.
	Off     bool
	Trouble string
	// Since is when the record begins; zero if there is none. RemovalsSince is when the
	// history does: it may have lost what was before its first entry.
	Since, RemovalsSince time.Time
	// Gaps are the removals, the newest first, that could not be recorded, and the runs
	// of which it is not known yet.
	Gaps []buffer.Removal
	// Hours are those in which anything was trimmed, the newest first.
	Hours []buffer.TrimHour
}

// maxGaps is how many gaps are kept: more of them say nothing else.
const maxGaps = 1000

// readRecord reads what the history and the sums of trims have of the names. What
// cannot be read is said, and the rest is explained all the same.
func (e *explanation) readRecord(ctx context.Context, now time.Time) Record {
	r := Record{Off: e.o.HistoryOff}
	err := e.b.WalkHistory(ctx, time.Time{}, func(removal buffer.Removal) {
		r.Since = removal.Time
		if removal.Action == buffer.Gap && len(r.Gaps) < maxGaps {
			r.Gaps = append(r.Gaps, removal)
		}
		e.remember(removal)
	})
	if err == nil {
		r.Hours, err = e.b.TrimHoursKept(ctx, now)
	}
	if err == nil {
		err = e.readTrims(ctx, now)
	}
	if err != nil {
		r.Trouble = err.Error()
	}
	r.RemovalsSince = r.Since
	if n := len(r.Hours); n > 0 {
		// When in its first hour the record began is not known.
		begun := r.Hours[n-1].Hour.Add(time.Hour)
		if begun.After(now) {
			begun = now
		}
		if r.Since.IsZero() || begun.Before(r.Since) {
			r.Since = begun
		}
		if r.RemovalsSince.IsZero() {
			r.RemovalsSince = begun
		}
	}
	return r
}

// remember takes in a removal of one of the names.
func (e *explanation) remember(r buffer.Removal) {
	if r.Action == buffer.Gap {
		return
	}
	for _, name := range e.names {
		if !buffer.NotedAs(name, r.Name) {
			continue
		}
		if r.Action == string(cleanup.Expire) || strings.HasPrefix(r.Reason, cleanup.PutBackReason) {
			past := e.expired[name]
			past.add(r)
			e.expired[name] = past
		} else {
			e.streams[name].Past.add(r)
		}
	}
}

// readCopies finds out which of the sessions that are gone have copies, whatever the
// history has of them: it may be off. Where the name is that of a stream too, it is
// about the stream.
func (e *explanation) readCopies(ctx context.Context) error {
	var gone []string
	for _, name := range e.names {
		if len(e.sessions[name]) == 0 && (e.o.Sessions || !e.streams[name].Exists()) {
			gone = append(gone, name)
		}
	}
	if len(gone) == 0 {
		return nil
	}
	return e.b.CopiesOf(ctx, gone, func(c registry.Copy) error {
		if have := e.copies[c.Identity]; have == nil || c.Expired.After(have.Expired) {
			e.copies[c.Identity] = &c
		}
		return nil
	})
}

// gone is what there is to say of a session that is not there; nil where nobody knows
// of one.
func (e *explanation) gone(name string, now time.Time) *Session {
	s := Session{Identity: name, Gone: true, Past: e.expired[name]}
	c := e.copies[name]
	switch {
	case c == nil && len(s.Past.Removals) == 0:
		return nil
	case c == nil:
		return &s
	}
	s.Layout, s.Stream, s.Expired = c.Layout, c.Stream, c.Expired
	s.Others = c.HasStream && !e.b.Owns(c.Stream)
	s.Copied = !s.Others
	if until := c.Expired.Add(e.o.Cleanup.Undo.For); s.Copied && e.o.Cleanup.Undo.Wants() && until.After(now) {
		s.CopiedUntil = until
	}
	return &s
}

func (e *explanation) readTrims(ctx context.Context, now time.Time) error {
	if len(e.ours) == 0 {
		return nil
	}
	sums, err := e.b.TrimSums(ctx, now, e.ours)
	if err != nil {
		return err
	}
	for _, name := range e.ours {
		s := e.streams[name]
		s.Trims = nil
		for _, sum := range sums {
			if buffer.NotedAs(name, sum.Stream) {
				s.Trims = append(s.Trims, sum)
			}
		}
	}
	return nil
}
