package cleanup

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

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

	// second: the first scan is over, and its counts bound what the run removes.
	second bool
	// paused are streams of which nothing goes, as of the last page.
	paused func(stream string) bool

	// What is known of streams, of messages, and of how messages are framed.
	streams   *streamTable
	flows     *flows
	encodings encodings

	// What the first scan found, how the guard judged it, and what the second
	// scan did.
	found found
	guard guardState
	acted acted
	// copies are kept of what expires.
	copies copies
}

func (r *run) o() *Options { return &r.c.o }

// dry reports whether nothing is to change, not even in memory.
func (r *run) dry() bool { return r.record.visit != nil }

// run decides and acts over a store. A dry run has a visitor.
func (c *Cleaner) run(ctx context.Context, store Store, visit func(Action)) (Report, error) {
	r, err := c.firstScan(ctx, store, visit, false)
	if err == nil && !r.found.allLayouts && r.found.retire+r.found.drop > 0 {
		// A stream may be retired only if no layout has a session for it.
		r, err = c.firstScan(ctx, store, visit, true)
	}
	if err == nil {
		err = r.askGuard(ctx)
	}
	if err == nil {
		err = r.prepareCopies(ctx)
	}
	if err == nil {
		err = r.secondScan(ctx)
	}
	// What came back is listed again even though the run failed.
	if !redisconn.IsLost(err) {
		err = errors.Join(err, r.restore(ctx))
	}
	err = r.end(ctx, err)
	return r.report, r.notKnown(err)
}

// firstScan scans names, sessions and streams once: it decides and counts, and
// changes nothing. Unless all layouts are asked for, the keyspace is scanned for
// sessions only when that is due.
func (c *Cleaner) firstScan(ctx context.Context, store Store, visit func(Action), all bool) (*run, error) {
	r := &run{
		c: c, store: store, record: newRecord(&c.o, visit), streams: newStreamTable(),
		found: found{unlisted: make(map[string]bool)}, acted: acted{expired: make(map[string][]expired)},
	}
	r.o().OnScan()
	if err := r.begin(ctx, all); err != nil {
		return r, err
	}
	if err := r.listStreams(ctx); err != nil {
		return r, fmt.Errorf("nothing removed, as not all streams could be read: %w", err)
	}
	if err := r.scanSessions(ctx, func(page []registry.Session) error { return r.countSessions(ctx, page) }); err != nil {
		return r, fmt.Errorf("nothing removed, as not all sessions could be read: %w", err)
	}
	if err := r.scanUnnamed(ctx, r.countStream); err != nil {
		return r, fmt.Errorf("nothing removed, as not all streams could be read: %w", err)
	}
	r.found.complete = true
	return r, nil
}

// begin reads what has to be known before the first scan.
func (r *run) begin(ctx context.Context, all bool) (err error) {
	if r.now, err = r.store.Now(ctx); err != nil {
		return err
	}
	if err := r.readPauses(ctx); err != nil {
		return err
	}
	r.found.allLayouts = all || r.c.keysDue(r.now)
	if err := r.warnUnusable(ctx); err != nil {
		return err
	}
	if err := r.readLeft(ctx); err != nil {
		return err
	}
	r.flows = newFlows(r.store, r.o().Limits, r.c.lookBounds, r.turns(), r.now)
	if r.streams.groups, err = r.store.GroupNotes(ctx); err != nil {
		return err
	}
	r.found.listed, err = r.store.CountStreams(ctx)
	return err
}

// secondScan scans the sessions again, and carries out what the first scan decided
// on, nothing beyond its counts. What the guard stops is not removed; a dry run
// shows it.
func (r *run) secondScan(ctx context.Context) error {
	n := r.found
	removes := n.sessions.stale+n.retire+n.drop > 0 && (!r.guard.stopped || r.dry())
	if !removes && n.abandon == 0 {
		return nil
	}
	r.second, r.flows.second = true, true
	if err := r.settle(ctx); err != nil {
		return fmt.Errorf("nothing removed, as not all sessions could be read: %w", err)
	}
	if removes {
		// Noted before the first removal: what a run that is killed has removed
		// must not look like a loss to the next.
		if err := r.setLeft(ctx, n.sessions.lasting-n.sessions.lastingStale, r.report.Streams-n.retire-n.drop); err != nil {
			return err
		}
	}
	// A session that came meanwhile, or does not expire after all, joins the
	// owners of the first scan.
	if err := r.scanSessions(ctx, func(page []registry.Session) error { return r.expireSessions(ctx, page, removes) }); err != nil {
		return fmt.Errorf("no stream retired, as not all sessions could be read: %w", err)
	}
	if !removes || n.retire+n.drop == 0 {
		return nil
	}
	if err := r.scanUnnamed(ctx, r.retire); err != nil {
		return fmt.Errorf("retiring streams: %w", err)
	}
	return nil
}

// settle finds, of several sessions that name one stream and id, the one with
// the newest time, where the first scan left that open. The second scan may come
// upon them in another order: masters of a cluster are scanned side by side.
func (r *run) settle(ctx context.Context) error {
	if !r.flows.unsure {
		return nil
	}
	return r.scanSessions(ctx, func(page []registry.Session) error {
		r.flows.turn(page, r.displaced)
		return nil
	})
}

// end says what the run did, and notes what the next one goes by. It is given, and
// returns, what broke the run off.
func (r *run) end(ctx context.Context, err error) error {
	// A decision that the guard holds back has to stand: it keeps its turn.
	if !r.dry() && r.flows != nil && !r.guard.stopped {
		r.c.turns = r.flows.nextTurns()
	}
	if !r.dry() && r.found.complete {
		r.c.putBackBefore = r.now
	}
	r.record.summarize(r.report)
	r.logUncopied()
	r.logHoldsAll()
	r.c.toldForeign = r.c.toldForeign || r.record.logForeign()
	if err != nil {
		return err
	}
	if err := errors.Join(r.noteSightings(ctx), r.noteGroups(ctx)); err != nil || r.guard.stopped {
		return err
	}
	return r.leave(ctx)
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

// scanSessions scans the layouts that this run looks into, and keeps in mind
// whether the keyspace holds any session.
func (r *run) scanSessions(ctx context.Context, visit func([]registry.Session) error) error {
	rtaOnly := func(page []registry.Session) error {
		if err := r.readPauses(ctx); err != nil {
			return err
		}
		return visit(r.withoutForeign(page))
	}
	if !r.found.allLayouts {
		return r.store.WalkHashSessions(ctx, rtaOnly)
	}
	inKeys := false
	err := r.store.WalkSessions(ctx, func(page []registry.Session) error {
		inKeys = inKeys || len(page) > 0 && page[0].HasOwnKey()
		return rtaOnly(page)
	})
	if err == nil {
		r.c.keysLooked, r.c.keysFound = r.now, inKeys
	}
	return err
}

// withoutForeign takes the entries that are not RTA's out of a page, and counts
// them in the first scan.
func (r *run) withoutForeign(page []registry.Session) []registry.Session {
	some := false
	for i := range page {
		s := &page[i]
		if !s.Foreign {
			continue
		}
		some = true
		if !r.second {
			r.report.SessionsForeign++
			r.record.fault(foreign, s.Identity)
			r.o().OnSession(s, Foreign, foreignReason)
		}
	}
	if !some {
		return page
	}
	return slices.DeleteFunc(page, func(s registry.Session) bool { return s.Foreign })
}

// ours reports whether a session may be looked at and changed.
func (r *run) ours(s *registry.Session) bool { return !s.HasStream || r.store.Owns(s.Stream) }
