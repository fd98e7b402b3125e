package jobs

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/streamkeeper/streamkeeper/buffer"
)

// pausesFor is how long the pauses that were read are believed: what is being
// removed when one begins ends within that time.
const pausesFor = time.Second

// Pauses tells a job what is paused, as it runs. Its methods may be called by
// several goroutines at once.
type Pauses struct {
	read    func(context.Context) (buffer.Pauses, error)
	job     string
	removes bool
	now     func() time.Time

	mu   sync.Mutex
	at   time.Time
	last buffer.Pauses
	// skipped is how many streams a run has passed over.
	skipped int64
}

// NewPauses are those of a job.
func NewPauses(b *buffer.Buffer, job string) *Pauses {
	return &Pauses{read: b.Pauses, job: job, removes: Removes(job), now: time.Now}
}

// Removes reports whether a job removes anything, so that a pause of no job by
// name stops it.
func Removes(job string) bool {
	return slices.ContainsFunc(All(), func(j Job) bool { return j.Name == job && j.Removes })
}

// Now are the pauses of the job. Where they cannot be read it may remove nothing.
func (p *Pauses) Now(ctx context.Context) (buffer.Pauses, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.now()
	if !p.at.IsZero() && now.Sub(p.at) < pausesFor {
		return p.last, nil
	}
	all, err := p.read(ctx)
	if err != nil {
		return nil, err
	}
	p.at, p.last = now, all.Of(p.job, p.removes)
	return p.last, nil
}

// Streams tells which streams are paused.
func (p *Pauses) Streams(ctx context.Context) (func(stream string) bool, error) {
	all, err := p.Now(ctx)
	if err != nil {
		return nil, err
	}
	return all.Match, nil
}

// begin begins a run: it has passed over nothing.
func (p *Pauses) begin() {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.skipped = 0
}

// passedOver is how many streams the run has not looked at, as they are paused.
func (p *Pauses) passedOver() int64 {
	if p == nil {
		return 0
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.skipped
}

// without are the names of a page that are not paused; the others are told of.
func (p *Pauses) without(ctx context.Context, names []string, passed func(stream string)) []string {
	if p == nil {
		return names
	}
	paused, err := p.Streams(ctx)
	if err != nil {
		return names
	}
	kept := make([]string, 0, len(names))
	for _, name := range names {
		if paused(name) {
			passed(name)
		} else {
			kept = append(kept, name)
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.skipped += int64(len(names) - len(kept))
	return kept
}

// streams is the function of the options of jobs; nil where pauses do not count.
func (p *Pauses) streams() func(context.Context) (func(stream string) bool, error) {
	if p == nil {
		return nil
	}
	return p.Streams
}

// unpaused is the buffer for a job that only reads: it walks over the streams that
// are not paused. Such a job removes nothing, so it goes on where pauses cannot be read.
type unpaused struct {
	*buffer.Buffer
	pauses *Pauses
	// passed is told of each stream that is passed over.
	passed func(stream string)
}

// unpaused is what a job that only reads works with.
func (e Env) unpaused(passed func(stream string)) unpaused {
	return unpaused{e.Buffer, e.pauses, passed}
}

// WalkStreams is that of [buffer.Buffer], without the streams that are paused.
func (u unpaused) WalkStreams(ctx context.Context, visit func(names []string) error) error {
	return u.Buffer.WalkStreams(ctx, func(names []string) error {
		return visit(u.pauses.without(ctx, names, u.passed))
	})
}
