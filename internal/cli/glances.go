package cli

import (
	"context"
	"errors"
	"maps"
	"sync"
	"time"

	"github.com/streamkeeper/streamkeeper/buffer"
	"github.com/streamkeeper/streamkeeper/explain"
	"github.com/streamkeeper/streamkeeper/internal/jobs"
	"github.com/streamkeeper/streamkeeper/metrics"
	"github.com/streamkeeper/streamkeeper/report"
	"github.com/streamkeeper/streamkeeper/web"
)

// glances are what was last read of streams for their pages: of one stream at a
// time, and of each once in a while, however many ask.
type glances struct {
	one chan struct{}

	mu   sync.Mutex
	last map[string]glance
}

type glance struct {
	at     time.Time
	result explain.Result
}

const (
	// glanceFor is how long a reading is shown, as long as the page waits before it
	// asks again.
	glanceFor = 8 * time.Second
	// maxGlances is of how many streams one is kept.
	maxGlances = 32
)

func newGlances() *glances {
	return &glances{one: make(chan struct{}, 1), last: make(map[string]glance)}
}

var errCrowded = errors.New("others ask for pages of streams: try again")

// of is what read says of a stream, now or a few seconds ago.
func (g *glances) of(ctx context.Context, name string, read func() (explain.Result, error)) (glance, error) {
	if found, ok := g.known(name); ok {
		return found, nil
	}
	select {
	case g.one <- struct{}{}:
		defer func() { <-g.one }()
	case <-ctx.Done():
		return glance{}, errCrowded
	}
	if found, ok := g.known(name); ok {
		return found, nil
	}
	result, err := read()
	if err != nil {
		return glance{}, err
	}
	found := glance{time.Now(), result}
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.last) >= maxGlances {
		clear(g.last)
	}
	g.last[name] = found
	return found, nil
}

func (g *glances) known(name string) (glance, bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	maps.DeleteFunc(g.last, func(_ string, old glance) bool { return time.Since(old.at) > glanceFor })
	found, ok := g.last[name]
	return found, ok
}

// removals are the newest of the history, read once in a while.
type removals struct {
	one chan struct{}

	at      time.Time
	all     []buffer.Removal
	trouble string
}

func newRemovals() *removals { return &removals{one: make(chan struct{}, 1)} }

// newestRemovals is how many of them are read.
const newestRemovals = 500

// newest are the newest removals, the newest first, and why they cannot be read. Nobody
// waits for another's reading longer than for an own one.
func (r *removals) newest(ctx context.Context, b *buffer.Buffer) (all []buffer.Removal, trouble string) {
	select {
	case r.one <- struct{}{}:
		defer func() { <-r.one }()
	case <-ctx.Done():
		return nil, "Redis has not answered in time"
	}
	if time.Since(r.at) < glanceFor {
		return r.all, r.trouble
	}
	found, err := b.NewestRemovals(ctx, newestRemovals)
	if ctx.Err() != nil && err != nil {
		return r.all, err.Error() // whoever asked did not wait
	}
	r.at, r.all, r.trouble = time.Now(), found, ""
	if err != nil {
		r.trouble = err.Error()
	}
	return r.all, r.trouble
}

// stream is what the page says of one stream.
func (d *daemon) stream(ctx context.Context, name string) web.StreamPage {
	p := web.StreamPage{Frame: d.frame(), Name: buffer.Escape(name)}
	working := d.now.Load()
	if working == nil {
		p.Trouble = d.whyNot()
		return p
	}
	other := holder(ctx, working)
	figures, points, labelled := d.observers.Figures(name)
	p.Leader = leader(working.scheduler.Status(), other)
	labelled = labelled && p.Leader.Leading // a term may have ended between the two
	if labelled {
		p.Figures = new(streamStatus(figures))
		for _, q := range points {
			p.Points = append(p.Points, web.Point(q))
		}
	}
	seen, err := d.glances.of(ctx, name, func() (explain.Result, error) {
		o := explainOptions(d.options, working.buffer)
		o.Trim.Policies = *d.policies.Now()
		return explain.Glance(ctx, working.buffer, o, name, d.known(ctx, working, figures, labelled))
	})
	if err != nil {
		p.Trouble = err.Error()
		return p
	}
	p.Read = seen.at.UTC()
	describeStream(&p, seen.result)
	return p
}

// describeStream says what explain says.
func describeStream(p *web.StreamPage, r explain.Result) {
	answer := r.Answers[0]
	p.Others = answer.Others
	if answer.Stream == nil {
		return
	}
	p.Known = true
	var x report.Explanations
	x.AddStream(answer.Stream, r)
	s := &x.Streams[0]
	for _, f := range s.Facts() {
		switch f.Name {
		case report.FactSession:
			p.Sessions = append(p.Sessions, f.Text)
		case report.FactHistory:
			p.History = append(p.History, f.Text)
		default:
			p.Facts = append(p.Facts, web.Fact(f))
		}
	}
	for i := range s.Trims {
		t := &s.Trims[i]
		p.Trims = append(p.Trims, web.Trim{Hour: t.Hour, Entries: t.Entries, Bytes: t.Bytes, Text: t.Kept()})
	}
}

// known is what can be said of a stream without asking Redis.
func (d *daemon) known(ctx context.Context, w *working, figures metrics.StreamFigures, labelled bool) explain.Known {
	var k explain.Known
	k.Judgement, k.Brake = d.news.cleanup()
	switch {
	case !d.options.Jobs.Cleanup.Enabled:
		k.Unjudged = "clean-up is off (CLEANUP_ENABLED is false)"
	case k.Judgement == nil && !w.scheduler.Status().Leader:
		k.Unjudged = "the leader cleans up"
	case k.Judgement == nil:
		k.Unjudged = "no clean-up has ended since this replica leads"
	}
	if labelled && figures.Bytes > 0 {
		k.Memory = &buffer.EntryMemory{Length: figures.Entries, Bytes: figures.Bytes, Estimated: figures.Estimated}
	}
	d.mu.Lock()
	held := d.paused.held
	d.mu.Unlock()
	k.Paused = held.Of(jobs.Cleanup, jobs.Removes(jobs.Cleanup)).Match
	if d.options.HistoryLength > 0 {
		k.Removals, k.Trouble = d.removals.newest(ctx, w.buffer)
	}
	return k
}
