// Package explain says everything about one stream or session: what it holds, what
// the next run does to it, and what keeps the rest.
//
// It decides nothing: it plans a run, as package plan's command does, and picks out
// what concerns the names that are asked for.
package explain

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/streamkeeper/streamkeeper/buffer"
	"github.com/streamkeeper/streamkeeper/buffer/registry"
	"github.com/streamkeeper/streamkeeper/burst"
	"github.com/streamkeeper/streamkeeper/cleanup"
	"github.com/streamkeeper/streamkeeper/internal/human"
	"github.com/streamkeeper/streamkeeper/trim"
	"github.com/streamkeeper/streamkeeper/trim/sweep"
)

// Options are the jobs as they are set up.
type Options struct {
	Trim    sweep.Options
	Cleanup cleanup.Options
}

// Stream is what there is to say of a stream.
type Stream struct {
	Name   string
	Listed bool
	// Others: our patterns leave the stream to others.
	Others bool
	Info   buffer.StreamInfo
	Memory buffer.EntryMemory
	Groups []buffer.Group
	Policy trim.Policy
	// Rule is the pattern of the rule that the policy comes from; "" where it
	// comes from the global settings.
	Rule string
	// Cut is what the next trim does; no steps where the stream is within its
	// limits.
	Cut trim.Cut
	// Sessions are the first of those that name the stream, Named is how many do.
	Sessions []Session
	Named    int64
	// Fate is what clean-up makes of it, where no session names it.
	Fate *Fate
	// RetiredAt is when we retired it, zero if that is not remembered.
	RetiredAt time.Time
}

// Fate is what becomes of a stream that no session names.
type Fate struct {
	cleanup.StreamFacts
	Fate   cleanup.Fate
	Reason string
}

// Exists reports whether there is anything of that name.
func (s *Stream) Exists() bool {
	return s.Listed || s.Info.Type != "none" || s.Named > 0 || !s.RetiredAt.IsZero()
}

// Session is what there is to say of a session.
type Session struct {
	Identity string
	Layout   registry.Layout
	Stream   string
	ID       string
	// Updated is zero where the time cannot be read.
	Updated time.Time
	State   cleanup.State
	Reason  string
	// JSONState is the state of its Session JSON, "" if there is none.
	JSONState string
	// Action is what the next clean-up does to it, nil for nothing.
	Action *cleanup.Action
}

// Answer is what there is to say of a name.
type Answer struct {
	Name     string
	Stream   *Stream
	Sessions []Session
	// Near are names like it, where there is neither.
	Near []string
}

// Known reports whether there is anything of that name.
func (a *Answer) Known() bool { return a.Stream != nil || len(a.Sessions) > 0 }

// Result is what was asked for.
type Result struct {
	Now     time.Time
	Limits  cleanup.Limits
	Answers []Answer
	// Brake is why the guard would stop the clean-up, "" if it would not.
	Brake string
}

// maxSessions is how many of the sessions that name a stream are kept.
const maxSessions = 20

// Explain says what there is to say of names. The error says what could not be
// read.
func Explain(ctx context.Context, b *buffer.Buffer, o Options, names []string) (Result, error) {
	now, err := b.Now(ctx)
	if err != nil {
		return Result{}, err
	}
	e := explanation{b: b, o: o, names: names, streams: make(map[string]*Stream), sessions: make(map[string][]found)}
	for _, name := range names {
		e.streams[name] = &Stream{Name: name}
	}
	r := Result{Now: now, Limits: o.Cleanup.Limits}
	if err := e.read(ctx); err != nil {
		return r, err
	}
	if err := e.planTrim(ctx); err != nil {
		return r, err
	}
	if r.Brake, err = e.planCleanup(ctx); err != nil {
		return r, err
	}
	for _, name := range names {
		a := Answer{Name: name}
		if s := e.streams[name]; s.Exists() {
			a.Stream = s
		}
		for _, f := range e.sessions[name] {
			a.Sessions = append(a.Sessions, f.Session)
		}
		if !a.Known() {
			a.Near = e.near.best(name)
		}
		r.Answers = append(r.Answers, a)
	}
	return r, nil
}

// explanation gathers what concerns the names.
type explanation struct {
	b        *buffer.Buffer
	o        Options
	names    []string
	streams  map[string]*Stream
	sessions map[string][]found
	near     near
	// paused are the streams that clean-up leaves alone now.
	paused func(stream string) bool
}

// found is a session with what it was read from.
type found struct {
	Session
	entry registry.Session
}

// read reads what the streams hold.
func (e *explanation) read(ctx context.Context) error {
	infos, err := e.b.Infos(ctx, e.names)
	if err != nil {
		return err
	}
	listed, err := e.b.Listed(ctx, e.names)
	if err != nil {
		return err
	}
	retired, err := e.b.RetiredAt(ctx, e.names)
	if err != nil {
		return err
	}
	for i, name := range e.names {
		s := e.streams[name]
		s.Info, s.Listed, s.RetiredAt = infos[i], listed[i], retired[i]
		if s.Info.Err != nil {
			return fmt.Errorf("reading stream %s: %w", buffer.Quote(name), s.Info.Err)
		}
		s.Others = !e.b.Owns(name)
		s.Policy = e.o.Trim.Policies.For(name)
		if rule, ok := e.o.Trim.Policies.RuleOf(name); ok {
			s.Rule = e.o.Trim.Policies.Rules[rule].Pattern.String()
		}
		if !s.Info.Exists() {
			continue
		}
		if s.Groups, err = e.b.GroupInfos(ctx, name); err != nil {
			return err
		}
		if s.Memory, err = e.memoryOf(ctx, name); err != nil {
			return err
		}
	}
	return nil
}

func (e *explanation) memoryOf(ctx context.Context, name string) (m buffer.EntryMemory, err error) {
	memories, err := e.b.EntryMemories(ctx, []string{name})
	if err != nil {
		return m, err
	}
	if m = memories[0]; m.Uncounted {
		if m, err = e.b.EstimateEntryMemory(ctx, name, m); err != nil {
			return m, err
		}
	}
	if m.Err != nil {
		return m, fmt.Errorf("reading the memory of stream %s: %w", buffer.Quote(name), m.Err)
	}
	return m, nil
}

// planTrim plans the next trim of the streams.
func (e *explanation) planTrim(ctx context.Context) error {
	var patterns buffer.Patterns
	for _, name := range e.names {
		p, err := buffer.ParsePattern(buffer.Quote(name))
		if err != nil {
			return err
		}
		patterns = append(patterns, p)
	}
	r, err := sweep.New(e.b.Only(patterns), e.o.Trim).Plan(ctx, func(c trim.Cut) {
		if s := e.streams[c.Stream]; s != nil {
			s.Cut = c
		}
	})
	if err == nil && r.Errors > 0 {
		err = errors.Join(r.Examples...)
	}
	return err
}

// planCleanup plans the next clean-up, and says why the guard would stop it.
func (e *explanation) planCleanup(ctx context.Context) (brake string, err error) {
	o := e.o.Cleanup
	e.paused = func(string) bool { return false }
	if o.Paused != nil {
		if e.paused, err = o.Paused(ctx); err != nil {
			return "", err
		}
	}
	o.OnSession = e.session
	o.OnStream = func(f cleanup.StreamFacts, fate cleanup.Fate, reason string) {
		e.near.offer(f.Name, e.names)
		if s := e.streams[f.Name]; s != nil {
			f.Name = s.Name
			s.Fate = &Fate{f, fate, reason}
			if e.paused(s.Name) && (fate == cleanup.Retirable || fate == cleanup.Droppable) {
				s.Fate = &Fate{f, cleanup.Keep, "clean-up is paused; else: " + reason}
			}
		}
	}
	r, err := cleanup.New(e.b, o).Plan(ctx, e.action)
	if err != nil {
		return "", err
	}
	return r.Brake, e.readStates(ctx)
}

func (e *explanation) session(s *registry.Session, is cleanup.State, reason string) {
	e.near.offer(s.Identity, e.names)
	named := e.streams[s.Stream]
	if !s.HasStream {
		named = nil
	} else {
		e.near.offer(s.Stream, e.names)
	}
	if is == cleanup.Stale && e.paused(s.Stream) {
		reason += ", but clean-up is paused"
	}
	asked := slices.Contains(e.names, s.Identity)
	if named == nil && !asked {
		return
	}
	f := found{Session{
		Identity: strings.Clone(s.Identity), Layout: s.Layout, Stream: strings.Clone(s.Stream), ID: strings.Clone(s.ID),
		Updated: s.Updated, State: is, Reason: reason,
	}, *s}
	if asked && !slices.ContainsFunc(e.sessions[f.Identity], func(have found) bool { return have.Layout == f.Layout }) {
		e.sessions[f.Identity] = append(e.sessions[f.Identity], f)
	}
	if named != nil {
		if named.Named++; len(named.Sessions) < maxSessions {
			named.Sessions = append(named.Sessions, f.Session)
		}
	}
}

// action notes what the next clean-up does to a session or a stream.
func (e *explanation) action(a cleanup.Action) {
	switch a.Kind {
	case cleanup.Expire, cleanup.Abandon:
		for i := range e.sessions[a.Session] {
			if f := &e.sessions[a.Session][i]; f.Stream == a.Stream {
				f.Action = &a
			}
		}
	case cleanup.Restore:
		if s := e.streams[a.Stream]; s != nil {
			s.Fate = &Fate{Fate: cleanup.Keep, Reason: "it is listed again: " + a.Reason}
		}
	case cleanup.Retire, cleanup.DropName:
		// Its fate says so.
	}
}

// readStates reads the states of the Session JSONs of the sessions asked for.
func (e *explanation) readStates(ctx context.Context) error {
	for _, all := range e.sessions {
		for i := range all {
			jsons, err := e.b.SessionJSONs(ctx, []registry.Session{all[i].entry})
			if err != nil {
				return err
			}
			all[i].JSONState = burst.State([]byte(jsons[0]))
		}
	}
	return nil
}

// near keeps the names that are most like those asked for.
type near struct{ byName map[string][]candidate }

type candidate struct {
	name  string
	edits int
}

const (
	maxNear   = 3
	nearEdits = 3
)

func (n *near) offer(name string, asked []string) {
	if n.byName == nil {
		n.byName = make(map[string][]candidate)
	}
	for _, a := range asked {
		edits := len(name) + len(a)
		switch {
		case len(a) > 2 && strings.Contains(name, a):
			edits = nearEdits
		case resembles(name, a):
			edits = human.EditDistance(strings.ToLower(name), strings.ToLower(a))
		}
		if edits > nearEdits || edits >= len(a) || slices.ContainsFunc(n.byName[a], func(c candidate) bool { return c.name == name }) {
			continue
		}
		best := append(slices.Clone(n.byName[a]), candidate{strings.Clone(name), edits})
		slices.SortStableFunc(best, func(a, b candidate) int { return a.edits - b.edits })
		n.byName[a] = best[:min(len(best), maxNear)]
	}
}

// resembles reports, at little cost, whether a name may be another with a typing
// error: of those that are long the beginning or the end is the same.
func resembles(name, asked string) bool {
	if diff := len(name) - len(asked); diff > nearEdits || -diff > nearEdits {
		return false
	}
	const long = 12
	half := len(asked) / 2
	return len(asked) < long || strings.HasPrefix(name, asked[:half-1]) || strings.HasSuffix(name, asked[half+1:])
}

func (n *near) best(name string) []string {
	var names []string
	for _, c := range n.byName[name] {
		names = append(names, c.name)
	}
	return names
}
