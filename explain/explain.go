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
	"time"

	"github.com/streamkeeper/streamkeeper/buffer"
	"github.com/streamkeeper/streamkeeper/buffer/registry"
	"github.com/streamkeeper/streamkeeper/cleanup"
	"github.com/streamkeeper/streamkeeper/internal/redisconn"
	"github.com/streamkeeper/streamkeeper/trim"
	"github.com/streamkeeper/streamkeeper/trim/sweep"
)

// Options are the jobs as they are set up.
type Options struct {
	Trim    sweep.Options
	Cleanup cleanup.Options
	// TrimOff and CleanupOff say that the jobs do not run, HistoryOff that nothing
	// is recorded.
	TrimOff, CleanupOff, HistoryOff bool
	// Sessions: the names are those of sessions, whatever streams have them.
	Sessions bool
	// At is the time of the data that is asked for, as [ParseSpan] reads it; empty
	// for none.
	At string
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
	e := newExplanation(b, o, withPlain(b.Names(), o, names))
	r := Result{Now: now, Limits: o.Cleanup.Limits, TrimOff: o.TrimOff, CleanupOff: o.CleanupOff}
	if err := e.read(ctx); err != nil {
		return r, err
	}
	if err := e.planTrim(ctx); err != nil {
		return r, err
	}
	if err := e.planCleanup(ctx, &r); err != nil {
		return r, err
	}
	r.Record = e.readRecord(ctx, now)
	if err := e.readCopies(ctx); err != nil && r.Record.Trouble == "" {
		r.Record.Trouble = err.Error()
	}
	if o.At != "" {
		if err := e.judgeTimes(ctx, r.Record, now); err != nil {
			return r, err
		}
	}
	for _, name := range names {
		r.Answers = append(r.Answers, e.answerTo(name, now))
	}
	return r, nil
}

// explanation gathers what concerns the names.
type explanation struct {
	b        *buffer.Buffer
	o        Options
	names    []string
	streams  map[string]*Stream
	sessions map[string][]*found
	// naming are the first of the sessions that name each of the streams, and kept all
	// that are kept, by identity.
	naming, kept map[string][]*found
	// ours are the names that a stream of ours may have.
	ours []string
	// expired is what the history has of sessions.
	expired map[string]Past
	// copies are the newest copies of sessions that are gone.
	copies map[string]*registry.Copy
	near   near
	// paused are the streams that clean-up leaves alone now.
	paused func(stream string) bool
	// memory is how it is found out what the entries of a stream take.
	memory func(ctx context.Context, name string) (buffer.EntryMemory, error)
	// noted are the groups without consumers, once they were read.
	noted buffer.NotedGroups
}

func newExplanation(b *buffer.Buffer, o Options, names []string) *explanation {
	e := &explanation{
		b: b, o: o, names: names, streams: make(map[string]*Stream),
		sessions: make(map[string][]*found), naming: make(map[string][]*found), kept: make(map[string][]*found),
		expired: make(map[string]Past), copies: make(map[string]*registry.Copy),
	}
	e.memory = e.memoryOf
	for _, name := range names {
		e.streams[name] = &Stream{Name: name, Others: !b.Owns(name)}
		if b.Owns(name) {
			e.ours = append(e.ours, name)
		}
	}
	return e
}

// found is a session with what it was read from.
type found struct {
	Session
	entry registry.Session
}

// answer is what there is to say of a name.
func (e *explanation) answer(name string, now time.Time) Answer {
	a := Answer{Name: name}
	s := e.streams[name]
	if s.Exists() {
		a.Stream = s
	}
	a.Others = s.Others
	past := e.expired[name]
	for _, f := range e.sessions[name] {
		session := f.Session
		session.Past = past
		a.Sessions = append(a.Sessions, session)
	}
	if len(a.Sessions) == 0 {
		if gone := e.gone(name, now); gone != nil {
			a.Sessions = []Session{*gone}
		}
	}
	if !a.Known() {
		a.Near = e.near.best(name)
	}
	return a
}

// read reads what the streams hold. Of those that are left to others it is only
// known whether they are listed.
func (e *explanation) read(ctx context.Context) error {
	listed, err := e.b.Listed(ctx, e.names)
	if err != nil {
		return err
	}
	for i, name := range e.names {
		e.streams[name].Listed = listed[i]
	}
	infos, err := e.b.Infos(ctx, e.ours)
	if err != nil {
		return err
	}
	retired, err := e.b.RetiredNotes(ctx, e.ours)
	if err != nil {
		return err
	}
	for i, name := range e.ours {
		s := e.streams[name]
		s.Info, s.Retired = infos[i], retired[i]
		if err := e.readStream(ctx, s); err != nil {
			return err
		}
	}
	return nil
}

func (e *explanation) readStream(ctx context.Context, s *Stream) (err error) {
	if s.Info.Err != nil {
		return fmt.Errorf("reading stream %s: %w", buffer.Quote(s.Name), s.Info.Err)
	}
	s.Policy = e.o.Trim.Policies.For(s.Name)
	if rule, ok := e.o.Trim.Policies.RuleOf(s.Name); ok {
		s.Rule = e.o.Trim.Policies.Rules[rule].Pattern.String()
	}
	if !s.Info.Exists() {
		return nil
	}
	if err := e.readGroups(ctx, s); err != nil {
		return err
	}
	if s.Flow, err = e.b.FlowRate(ctx, s.Name); err != nil {
		return err
	}
	s.Memory, err = e.memory(ctx, s.Name)
	return err
}

// readGroups reads the consumer groups of a stream, and since when those without
// consumers are known to have none.
func (e *explanation) readGroups(ctx context.Context, s *Stream) (err error) {
	s.Groups, err = e.b.GroupInfos(ctx, s.Name)
	if err != nil || !slices.ContainsFunc(s.Groups, func(g buffer.Group) bool { return g.Consumers == 0 }) {
		return err
	}
	if e.noted == nil {
		notes, err := e.b.GroupNotes(ctx)
		if redisconn.IsLost(err) {
			return err
		}
		e.noted = buffer.NotedGroupsOf(notes)
	}
	s.WithoutConsumers = e.noted[s.Name]
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
	if len(e.ours) == 0 {
		return nil
	}
	b := e.b
	if !e.o.Trim.Relieves() {
		b = b.OnlyNames(e.ours)
	}
	r, err := sweep.New(b, e.o.Trim).Plan(ctx, func(c trim.Cut) {
		if s := e.streams[c.Stream]; s != nil {
			s.Cut = c
		}
	})
	if err == nil && r.Errors > 0 && !e.o.Trim.Relieves() { // else they may be others'
		err = errors.Join(r.Examples...)
	}
	return err
}

// planCleanup plans the next clean-up, and says why the guard would stop it.
func (e *explanation) planCleanup(ctx context.Context, result *Result) (err error) {
	o := e.o.Cleanup
	e.paused = func(string) bool { return false }
	if o.Paused != nil {
		if e.paused, err = o.Paused(ctx); err != nil {
			return err
		}
	}
	o.OnSession, o.OnOthers = e.session, e.others
	o.OnStream = func(f cleanup.StreamFacts, fate cleanup.StreamState, reason string) {
		e.near.offer(f.Name, e.names)
		if s := e.streams[f.Name]; s != nil {
			f.Name = s.Name
			s.Fate = (&Fate{f, fate, reason}).whilePaused(e.paused)
		}
	}
	c := cleanup.New(e.b, o)
	r, err := c.Plan(ctx, e.action)
	if err != nil {
		return err
	}
	result.Brake, result.BrakeUntil = r.Guard, r.GuardUntil
	if err := e.readStates(ctx); err != nil {
		return err
	}
	if err := e.readOutlooks(ctx, c, result.Now); err != nil {
		return err
	}
	for stream, naming := range e.naming {
		for _, f := range naming {
			e.streams[stream].Sessions = append(e.streams[stream].Sessions, f.Session)
		}
	}
	return nil
}

// whilePaused is the fate of a stream of which nothing may be removed for now.
func (f *Fate) whilePaused(paused func(stream string) bool) *Fate {
	if (f.Fate == cleanup.Retirable || f.Fate == cleanup.Droppable) && paused(f.Name) {
		return &Fate{f.StreamFacts, cleanup.Keep, "clean-up is paused; else: " + f.Reason}
	}
	return f
}

// action notes what the next clean-up does to a session or a stream.
func (e *explanation) action(a cleanup.Action) {
	switch a.Kind {
	case cleanup.Expire, cleanup.Abandon:
		for _, f := range e.kept[a.Session] {
			// Another layout may have a session of that identity, which stays.
			if f.Stream == a.Stream && f.entry.Updated.Equal(a.Updated) {
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
