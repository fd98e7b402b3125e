package cleanup

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/streamkeeper/streamkeeper/buffer"
	"github.com/streamkeeper/streamkeeper/buffer/registry"
	"github.com/streamkeeper/streamkeeper/internal/redisconn"
)

// run is one clean-up, owned by one goroutine.
type run struct {
	c      *Cleaner
	store  Store
	now    time.Time
	report Report
	record *record

	// paused are streams of which nothing goes, as of the last page.
	paused func(stream string) bool

	// What is known of streams, of messages, and of how messages are framed.
	streams *streamTable
	// unreadable are the streams that sessions which cannot be read may own.
	unreadable registry.MalformedOwners
	flows      *flows
	encodings  encodings

	// What the first scan found, how the guard judged it, and what the second
	// scan did.
	found found
	guard guard
	acted acted
	// copies are kept of what expires.
	copies copies
}

func (r *run) o() *Options { return &r.c.o }

// dry reports whether nothing is to change, not even in memory.
func (r *run) dry() bool { return r.record.visit != nil }

// run decides and acts over a store. A dry run has a visitor.
func (c *Cleaner) run(ctx context.Context, store Store, visit func(Action)) (Report, error) {
	r, err := c.decide(ctx, store, visit, false)
	if err == nil && !r.found.allLayouts && r.found.retire+r.found.drop > 0 {
		// A stream may be retired only if no layout has a session for it.
		r, err = c.decide(ctx, store, visit, true)
	}
	if err == nil {
		err = r.judge(ctx)
	}
	if r.report.Brake != "" {
		r.logHeld()
	}
	if err == nil {
		err = r.prepareCopies(ctx)
	}
	if err == nil {
		err = r.act(ctx)
	}
	// What came back is listed again even though the run failed.
	if !redisconn.IsLost(err) {
		err = errors.Join(err, r.restore(ctx))
	}
	// A decision that the guard holds back has to stand: it keeps its turn.
	if !r.dry() && r.flows != nil && !r.guard.stopped {
		c.turns = r.flows.nextTurns()
	}
	if !r.dry() && r.found.complete {
		c.putBackBefore = r.now
	}
	r.record.summarize(r.report)
	r.logUncopied()
	r.logHoldsAll()
	c.toldForeign = c.toldForeign || r.record.logForeign()
	if err != nil {
		return r.report, err
	}
	if err := errors.Join(r.noteSightings(ctx), r.noteGroups(ctx)); err != nil || r.guard.stopped {
		return r.report, err
	}
	return r.report, r.leave(ctx)
}

// decide scans names, sessions and streams once. Unless all layouts are asked
// for, the keyspace is scanned for sessions only when that is due.
func (c *Cleaner) decide(ctx context.Context, store Store, visit func(Action), all bool) (*run, error) {
	r := &run{
		c: c, store: store, record: newRecord(&c.o, visit), streams: newStreamTable(),
		found: found{unlisted: make(map[string]bool)}, acted: acted{expired: make(map[string][]expired)},
	}
	var err error
	if r.now, err = store.Now(ctx); err != nil {
		return r, err
	}
	if err := r.readPauses(ctx); err != nil {
		return r, err
	}
	r.found.allLayouts = all || c.keysDue(r.now)
	if err := r.warnUnusable(ctx); err != nil {
		return r, err
	}
	if err := r.readLeft(ctx); err != nil {
		return r, err
	}
	r.flows = newFlows(store, c.o.Limits, c.lookBounds, r.turns(), r.now)
	if r.streams.groups, err = store.GroupNotes(ctx); err != nil {
		return r, err
	}
	if r.found.listed, err = store.CountStreams(ctx); err != nil {
		return r, err
	}
	if err := r.listStreams(ctx); err != nil {
		return r, fmt.Errorf("nothing removed, as not all streams could be read: %w", err)
	}
	if err := r.walkSessions(ctx, func(page []registry.Session) error { return r.decideSessions(ctx, page) }); err != nil {
		return r, fmt.Errorf("nothing removed, as not all sessions could be read: %w", err)
	}
	if err := r.walkAlone(ctx, r.countStream); err != nil {
		return r, fmt.Errorf("nothing removed, as not all streams could be read: %w", err)
	}
	r.found.complete = true
	return r, nil
}

// readPauses looks which streams are paused, as pauses begin while a run lasts.
func (r *run) readPauses(ctx context.Context) (err error) {
	if r.paused, err = r.o().Paused(ctx); err != nil {
		return fmt.Errorf("nothing removed: %w", err)
	}
	return nil
}

// warnUnusable says which keys of our own cannot be used. What they are for is
// then not known, and the rest is done.
func (r *run) warnUnusable(ctx context.Context) error {
	keys, err := r.store.UnusableState(ctx)
	for _, key := range keys {
		r.record.fault(KindState, key)
	}
	return err
}

func (r *run) listStreams(ctx context.Context) error {
	return r.store.WalkStreams(ctx, func(names []string) error {
		for _, name := range names {
			if r.streams.list(name) {
				r.report.Streams++
			}
		}
		return nil
	})
}

// walkSessions scans the layouts that this run looks into, and keeps in mind
// whether the keyspace holds any session.
func (r *run) walkSessions(ctx context.Context, visit func([]registry.Session) error) error {
	ours := func(page []registry.Session) error {
		if err := r.readPauses(ctx); err != nil {
			return err
		}
		return visit(r.withoutForeign(page))
	}
	if !r.found.allLayouts {
		return r.store.WalkHashSessions(ctx, ours)
	}
	inKeys := false
	err := r.store.WalkSessions(ctx, func(page []registry.Session) error {
		inKeys = inKeys || len(page) > 0 && page[0].HasOwnKey()
		return ours(page)
	})
	if err == nil {
		r.c.keysLooked, r.c.keysFound = r.now, inKeys
	}
	return err
}

// withoutForeign takes the entries that are not RTA's out of a page, and counts
// them in the first scan.
func (r *run) withoutForeign(page []registry.Session) []registry.Session {
	return slices.DeleteFunc(page, func(s registry.Session) bool {
		if s.Foreign && !r.flows.second {
			r.report.SessionsForeign++
			r.record.fault(foreign, s.Identity)
			r.o().OnSession(&s, Foreign, foreignReason)
		}
		return s.Foreign
	})
}

// ours reports whether a session may be looked at and changed.
func (r *run) ours(s *registry.Session) bool { return !s.HasStream || r.store.Owns(s.Stream) }

// maxFailed is how many failed items a report names.
const maxFailed = 20

// failed counts an item that could not be judged or done.
func (r *run) failed(stream, message string, err error) {
	r.report.Errors++
	class := redisconn.ClassOf(err)
	if len(r.report.Failed) < maxFailed {
		r.report.Failed = append(r.report.Failed, fmt.Sprintf("%s: %s: %v", message, buffer.Quote(stream), err))
	}
	if r.report.Errors <= maxLines {
		r.record.log.Warn("item failed", "what", message, "stream", buffer.Escape(stream), "class", string(class), "error", err)
	}
}
