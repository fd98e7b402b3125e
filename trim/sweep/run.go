package sweep

import (
	"context"
	"slices"
	"time"

	"github.com/streamkeeper/streamkeeper/buffer"
	"github.com/streamkeeper/streamkeeper/trim"
	"github.com/streamkeeper/streamkeeper/trim/pressure"
)

// run is one sweep over all streams. One goroutine owns it; workers on the nodes
// of a cluster get values and send values back.
type run struct {
	s   *Sweeper
	now time.Time
	// clock: Redis's time can be trusted.
	clock bool
	// until is when the run's time is up; zero for never.
	until time.Time
	tally *tally
	// groups are the consumer groups without consumers.
	groups *groupNotes
	queue  *queue
	pages  pages
	// perPipeline is how many calls that remove little or nothing go into one.
	perPipeline struct{ probes, looks int }
	// examined is how many streams were examined one by one, and entries how many are
	// counted in each.
	examined struct {
		streams int
		entries buffer.CountLimit
	}
	// bytes is what is done about limits of bytes.
	bytes byBytes
	// handOver is called with what came of each stream.
	handOver func(c *stream, cut trim.Cut)
}

const (
	firstProbes = 16
	maxProbes   = 128
	firstLooks  = 64
	maxLooks    = 512
)

func newRun(s *Sweeper, now time.Time, clock bool) *run {
	r := &run{
		s: s, now: now, clock: clock, until: s.deadline(), tally: newTally(&s.o, s.relieves()), queue: newQueue(),
		pages: pages{due: make(map[string]bool), before: make(map[string]bool)},
		bytes: byBytes{measured: make(map[string]bool), began: time.Now()},
	}
	r.perPipeline.probes, r.perPipeline.looks = firstProbes, firstLooks
	r.examined.entries = countFew
	return r
}

// pages are what a run remembers of the last pages of streams.
type pages struct {
	// spare is the one that was worked on last: its memory is used again.
	spare []stream
	// due are the streams of the present one from which something is to go, before
	// those of the last one, beside which this one was looked at.
	due, before map[string]bool
}

// next goes on to the next page.
func (p *pages) next() {
	p.due, p.before = p.before, p.due
	clear(p.due)
}

// hadTurn reports whether a stream is one of them: while the set of names changes, a
// name may come twice.
func (p *pages) hadTurn(c *stream) bool { return p.due[c.name] || p.before[c.name] }

// deadline is when what begins now has used up the budget of a run.
func (s *Sweeper) deadline() time.Time {
	if s.o.Budget <= 0 {
		return time.Time{}
	}
	return time.Now().Add(s.o.Budget)
}

// isLate reports whether the time is up.
func isLate(until time.Time) bool { return !until.IsZero() && time.Now().After(until) }

// run trims all streams, then relieves the memory, and says what it did.
func (r *run) run(ctx context.Context) (Report, pressure.Result, error) {
	var result pressure.Result
	err := r.readGroupNotes(ctx)
	if err == nil {
		err = r.pass(ctx)
	}
	if drainErr := r.drainAndFinish(ctx); err == nil {
		err = drainErr
	}
	if err == nil {
		r.s.sizes.end(r.bytes.measured, r.bytes.leftOut)
		err = r.trimBytes(ctx)
	}
	left := r.queue.take(r.s.carriedOver)
	if err == nil && r.s.relieves() && r.clock {
		// Memory has a time budget of its own: a long backlog must not keep it
		// from being freed.
		r.until = r.s.deadline()
		result, err = r.relieve(ctx)
	}
	if err == nil {
		err = r.groups.write(ctx, r.s.store, r.now)
	}
	r.tally.report.Left = len(left) + r.queue.dropped.streams()
	r.s.carriedOver = make(map[string]bool, len(left))
	for i := range left {
		r.s.carriedOver[left[i].stream.name] = true
		r.tally.inNodes.add(&left[i].stream)
		r.handOver(&left[i].stream, trim.Cut{})
	}
	if err == nil {
		r.tally.report.Backlog, err = r.backlog(ctx, left)
	}
	r.tally.progress(true, len(left))
	r.tally.log()
	r.logOthers()
	return r.tally.report, result, r.tally.notKnown(err)
}

// logOthers says which listed streams are of another type, whenever their number
// changes.
func (r *run) logOthers() {
	if n := r.tally.others; n > 0 && n != r.s.toldOthers {
		r.s.o.Log.Warn("keys of streams are of another type", "count", n, "example", buffer.Escape(r.tally.other))
	}
	r.s.toldOthers = r.tally.others
}

// pass looks at every stream once. While one page is worked on, Redis is asked about
// the next one, and for the names of those after it.
func (r *run) pass(ctx context.Context) error {
	current := r.lookAt(ctx, nil) // at nothing, as there is always a page before the next
	err := r.s.store.WalkStreams(ctx, func(names []string) error {
		next := r.lookAt(ctx, r.streams(names))
		drained, err := r.page(ctx, current)
		if err != nil || drained {
			<-next.done
		}
		r.pages.spare = current.page
		if current = next; drained && err == nil {
			current = r.lookAt(ctx, next.page) // what was seen before is old by now
		}
		return err
	})
	if err != nil {
		<-current.done
		return err
	}
	if _, err := r.page(ctx, current); err != nil {
		return err
	}
	r.groups.forgetUnlisted()
	r.logUnused()
	return nil
}

// logUnused says which rules no stream has, as far as there are streams.
func (r *run) logUnused() {
	report := &r.tally.report
	if report.Streams == 0 || r.s.o.OneTime {
		return
	}
	for i, used := range r.tally.used {
		if !used {
			report.UnusedRules = append(report.UnusedRules, r.s.o.Policies.Rules[i].Pattern.String())
		}
	}
	if len(report.UnusedRules) > 0 && !r.s.toldUnused {
		r.s.toldUnused = true
		r.s.o.Log.Warn("rules of TRIM_POLICIES match no stream", "rules", report.UnusedRules)
	}
}

// streams are those of a page of names. Two pages take turns: one is worked on while
// Redis is asked about the other.
func (r *run) streams(names []string) []stream {
	page := slices.Grow(r.pages.spare[:0], len(names))
	for _, name := range names {
		r.tally.report.Streams++
		r.groups.noteListed(name)
		c := stream{name: name, policy: r.policyOf(name), stats: trim.StreamStats{NodeLimit: r.s.nodes.MostEntries()}}
		if !r.clock {
			c.policy = c.policy.WithoutClock()
		}
		c.stats.Stream, c.ageLimit = name, c.policy.AgeLimit(r.now)
		page = append(page, c)
	}
	return page
}

// policyOf is the policy of a stream, whose rule is noted as used.
func (r *run) policyOf(stream string) trim.Policy {
	policies := &r.s.o.Policies
	i, ok := policies.RuleOf(stream)
	if !ok {
		return policies.Default
	}
	r.tally.used[i] = true
	return policies.Rules[i].Policy
}

// page decides on a page of streams, and makes the first calls for those over a limit:
// they remove what is little, and the rest is queued. It reports whether backlogs were
// drained, which can take long.
func (r *run) page(ctx context.Context, l *look) (drained bool, err error) {
	if err := r.takeIn(l); err != nil {
		return false, err
	}
	page := l.page
	r.pages.next()
	if err := r.checkAges(ctx, page); err != nil {
		return false, err
	}
	paused, err := r.s.o.Paused(ctx)
	if err != nil {
		return false, err
	}
	due := r.decide(page, paused)
	if err := r.trimKnown(ctx, due); err != nil {
		return false, err
	}
	if err := r.trimAged(ctx, due); err != nil {
		return false, err
	}
	done := pick(page, func(c *stream) bool { return !c.twice && !r.queue.has(c.name) })
	if err := r.finish(ctx, done); err != nil {
		return false, err
	}
	r.tally.progress(false, r.queue.len())
	if r.queue.len() > maxWaiting && !isLate(r.until) {
		return true, r.drainAndFinish(ctx)
	}
	return false, nil
}

// drainAndFinish removes the backlogs.
func (r *run) drainAndFinish(ctx context.Context) error {
	done, err := r.drain(ctx)
	if err != nil {
		return err
	}
	return r.finish(ctx, done)
}

// decide picks the streams of a page that are over a limit and not paused.
func (r *run) decide(page []stream, paused func(string) bool) (due []*stream) {
	for i := range page {
		c := &page[i]
		if c.failed {
			continue
		}
		if c.twice = r.pages.hadTurn(c); c.twice {
			r.tally.report.Streams--
			continue
		}
		var over bool
		c.cut, over = trim.Decide(c.policy, c.stats, r.now)
		if c.paused = paused(c.name); over && !c.paused {
			due = append(due, c)
			r.pages.due[c.name] = true
		}
	}
	return due
}
