package cleanup

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/streamkeeper/streamkeeper/buffer"
)

// mind is the note of a held decision where Redis has no memory left for one.
// It lasts as long as the process, and counts only while run after run comes to
// that decision: it may be another replica that cleans up meanwhile.
type mind struct {
	note buffer.Facts
	// confirmed is when a run last came to the decision.
	confirmed time.Time
}

// held is the note of the decision that the brake holds back, empty if there is
// none. What is kept in mind is younger than what Redis may have.
func (r *run) held(ctx context.Context) (buffer.Facts, error) {
	if r.now.Sub(r.mind.confirmed) > r.o.Brake.Hold {
		r.mind = mind{}
	}
	if r.mind.note != nil {
		return r.mind.note, nil
	}
	return r.store.Held(ctx)
}

// drop forgets the decision that was held back.
func (r *run) drop(ctx context.Context) error {
	r.mind = mind{}
	_, err := r.store.SetHeld(ctx, nil)
	return err
}

// hold keeps the brake on until the decision has stood for long enough.
func (r *run) hold(ctx context.Context, counts Counts, held buffer.Facts, why string) (stopped bool, err error) {
	since, stands := r.o.Brake.stands(counts, held)
	if stands && r.o.Brake.letsGo(since, r.now) {
		// The note stays until the decision is carried out: a run that is killed
		// is followed by one that need not wait again.
		r.letGo = true
		r.o.Log.Warn("the brake lets go: the decision has stood for long enough", "why", why, "since", since.Format(time.RFC3339))
		return false, nil
	}
	r.report.Brake = why
	if stands && r.mind.note == nil {
		return true, nil
	}
	if !stands {
		held = counts.held(r.now)
	}
	return true, r.note(ctx, held)
}

// note notes the decision that is held back, in Redis or else in mind.
func (r *run) note(ctx context.Context, held buffer.Facts) error {
	noted, err := r.store.SetHeld(ctx, held)
	if noted || err != nil {
		r.mind = mind{}
		return err
	}
	r.mind = mind{held, r.now}
	r.report.Brake += "; Redis has no memory left to note since when"
	r.o.Log.Warn("the brake's hold cannot be noted, as Redis is out of memory: it lets go by itself only where this process runs on; "+
		"else once memory is free again, or by force", "hold", r.o.Brake.Hold, "to_force", "streamkeeper once --force cleanup")
	return nil
}

// tellHeld reports what the brake holds back.
func (r *run) tellHeld(seen examples) {
	r.report.Held = &Held{Expire: r.report.SessionsStale, Retire: r.retirable, Drop: r.droppable, Examples: seen.actions}
	var texts []string
	for _, a := range seen.actions[:min(len(seen.actions), maxExamples)] {
		name := a.Stream
		if a.Session != "" {
			name = a.Session
		}
		texts = append(texts, fmt.Sprintf("%s %s: %s", a.Kind, buffer.Escape(name), a.Reason))
	}
	r.o.Log.Warn("held back by the brake", "sessions", r.report.SessionsStale, "streams", r.retirable+r.droppable, "examples", texts)
}

// examples are the first removals of each kind.
type examples struct {
	actions []Action
	of      map[Kind]int
}

// examplesOfAKind is how many actions of each kind are kept.
const examplesOfAKind = 10

func (e *examples) add(a Action) {
	if a.Kind == Abandon || e.of[a.Kind] >= examplesOfAKind {
		return
	}
	if e.of == nil {
		e.of = make(map[Kind]int)
	}
	e.of[a.Kind]++
	// The names are parts of pages, which are large.
	a.Session, a.Stream = strings.Clone(a.Session), strings.Clone(a.Stream)
	e.actions = append(e.actions, a)
}
