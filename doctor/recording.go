package doctor

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/streamkeeper/streamkeeper/buffer"
	"github.com/streamkeeper/streamkeeper/buffer/registry"
	"github.com/streamkeeper/streamkeeper/burst"
	"github.com/streamkeeper/streamkeeper/inspect"
	"github.com/streamkeeper/streamkeeper/internal/escape"
)

// Recording is a session from its first message to its last.
type Recording struct {
	Session *Session
	Stream  Stream
	// Messages of the session, Others of the stream beside them, and whether the
	// bounds ended the reading.
	Messages, Others int64
	Cut              bool
	// Gone: what the session began with is no longer in the stream.
	Gone bool
	// First and Last are the outermost messages.
	First, Last buffer.ID
	// FirstJSON is the place of the first message with a Session JSON, from 1 on, 0
	// if none has; LastJSON is the last one.
	FirstJSON int64
	LastJSON  burst.Description
	// Strangers are messages whose Session JSON has another identity.
	Strangers []Example
	// From and To are the earliest and the latest time of data, in ns, if HasData.
	From, To int64
	HasData  bool
	// RangeFrom and RangeTo are the last time range, if HasRange.
	RangeFrom, RangeTo int64
	HasRange           bool
	// Twins are the session and others of its stream that have its id.
	Twins Twins
	// Disorder are messages in which the data of a channel goes back in time, and
	// Unlikely those with a time that is none in nanoseconds.
	Disorder, Unlikely []Example
}

// ErrNoSession is returned for a session that is not registered.
var ErrNoSession = errors.New("there is no such session")

// Bounds of the reading of one session.
const (
	recordingMessages = 200_000
	recordingBytes    = 1 << 30
	tailMessages      = 200
	tailBytes         = 512 << 10
	// keptMessages is of how many messages the judgements are kept.
	keptMessages = 10_000
	maxChannels  = 100_000
)

// ExamineSession checks one session from its first message to its last.
func (d *Doctor) ExamineSession(ctx context.Context, identity string) (Report, error) {
	e := d.newExamination(func(c *Check) bool {
		return c.recording != nil || c.session != nil || c.sample != nil || c.stream != nil && c.Group == Streams
	})
	var err error
	if e.now, err = e.b.Time(ctx); err != nil {
		return Report{}, err
	}
	r, err := e.find(ctx, identity)
	if err != nil {
		return Report{}, err
	}
	sample := &Sample{Stream: r.Stream, Sessions: 1}
	if err := e.record(ctx, r, sample); err != nil {
		return Report{}, err
	}
	if r.Twins, err = e.twinsOf(ctx, r.Session); err != nil {
		return Report{}, err
	}
	// Messages come from this session alone, whoever else uses the stream.
	sample.Stream.Info.First, sample.Stream.Info.Newest, sample.Stream.Info.Length = r.First, r.Last, r.Messages
	e.judgeSession(r.Session)
	if r.Session.HasStream && r.Session.Listed {
		e.judgeStream(&r.Stream)
	}
	e.judgeSample(sample)
	for _, o := range e.outcomes {
		if o.check.recording != nil {
			o.check.recording(r, o)
		}
	}
	return e.report(), nil
}

// find looks for the session in the registry.
func (e *examination) find(ctx context.Context, identity string) (*Recording, error) {
	var found *registry.Session
	err := e.registry.WalkSessions(ctx, func(page []registry.Session) error {
		if i := slices.IndexFunc(page, func(s registry.Session) bool { return s.Identity == identity }); i >= 0 {
			s := page[i]
			found = &s
			return errEnough
		}
		return nil
	})
	switch {
	case err != nil && !errors.Is(err, errEnough):
		return nil, err
	case found == nil:
		return nil, fmt.Errorf("session %s: %w", escape.Quote(identity), ErrNoSession)
	}
	s := &Session{Session: *found, Now: e.now, Prefix: e.b.Names().StreamPrefix, ExpireAfter: e.o.Limits.ExpireAfter, Sampled: true}
	jsons, err := e.registry.SessionJSONs(ctx, []registry.Session{*found})
	if err != nil {
		return nil, err
	}
	s.JSON = jsons[0]
	lasting, err := e.registry.Lasting(ctx, []registry.Session{*found})
	switch {
	case err == nil:
		s.Lasting = lasting[0]
	case !e.unread.note(factExpiry, err):
		return nil, err
	}
	r := &Recording{Session: s, Stream: Stream{Name: s.Stream, Prefix: s.Prefix, Now: e.now, Policy: e.o.Policies.For(s.Stream)}}
	if !s.HasStream {
		return r, nil
	}
	listed, err := e.b.Listed(ctx, []string{s.Stream})
	if err != nil {
		return nil, err
	}
	infos, err := e.b.Infos(ctx, []string{s.Stream})
	if err != nil {
		return nil, err
	}
	s.Listed, r.Stream.Info = listed[0], infos[0]
	if infos[0].Newest.IsTime(e.now) {
		s.StreamNewest = infos[0].Newest.Time()
	}
	return r, nil
}

// record reads the session's messages, from where it says that it began.
func (e *examination) record(ctx context.Context, r *Recording, sample *Sample) error {
	if !r.Session.HasStream || !r.Stream.Info.Exists() {
		return nil
	}
	o := e.o.Inspect
	o.Decode, o.OnMessage, o.OnMalformed, o.OnProgress = true, nil, nil, nil
	inspector := inspect.New(e.b, o)
	position, err := buffer.ParseID(r.Session.Position().Value)
	if err != nil {
		position = buffer.ID{}
	}
	end := e.b.Tails(ctx, []buffer.TailRequest{{Stream: r.Stream.Name}})[0]
	if end.Err != nil {
		return end.Err
	}
	r.Gone = position.Less(r.Stream.Info.First) && mayBeTrimmed(position, r.Stream, end.Added)
	id, _ := sessionNumber(r.Session.ID)
	starts := make(map[uint64]int64)
	read, bytes := int64(0), int64(0)
	for after := position; ; {
		got := e.b.Tails(ctx, []buffer.TailRequest{{Stream: r.Stream.Name, After: after, MaxCount: tailMessages, MaxBytes: tailBytes}})[0]
		if got.Err != nil {
			return got.Err
		}
		for _, entry := range got.Entries {
			after, read, bytes = entry.ID, read+1, bytes+entry.Bytes
			entry, there, err := inspector.Fetched(ctx, r.Stream.Name, entry)
			if err != nil {
				return err
			}
			if !there {
				continue
			}
			m := inspector.Judge(r.Stream.Name, entry)
			if entry.Fields == nil {
				if m.SessionID, err = e.ownerOf(ctx, r, entry.ID); err != nil {
					return err
				}
			}
			r.takeMessage(sample, m, id, starts)
		}
		switch {
		case !got.More || len(got.Entries) == 0:
			return nil
		case read >= recordingMessages || bytes >= recordingBytes:
			r.Cut = true
			return nil
		}
	}
}

// mayBeTrimmed reports whether entries after a position that is below the first
// entry may have gone. Where the server does not say how many were ever added, a
// stream below its limit has all of them.
func mayBeTrimmed(position buffer.ID, s Stream, added int64) bool {
	if added >= 0 {
		return added > s.Info.Length
	}
	limit := s.Policy.LengthLimit()
	return !position.IsZero() || limit > 0 && s.Info.Length >= limit
}

// ownerOf is the session's id if a message that is too long to be read has it, else
// empty: only that is asked for.
func (e *examination) ownerOf(ctx context.Context, r *Recording, id buffer.ID) (string, error) {
	found, err := e.b.Arrivals(ctx, []buffer.Arrivals{{Stream: r.Stream.Name, Before: id.Next(), Messages: 1, Bytes: 1}})
	if err == nil {
		err = found[0].Err
	}
	if err != nil {
		return "", err
	}
	mark := buffer.SessionRef(r.Session.ID)
	if slices.ContainsFunc(found[0].Marks, func(m buffer.MessageRef) bool { return m.Session == mark && m.ID == id }) {
		return r.Session.ID, nil
	}
	return "", nil
}

// takeMessage takes a message of the stream into the recording, if it is the
// session's.
func (r *Recording) takeMessage(sample *Sample, m inspect.Message, id uint64, starts map[uint64]int64) {
	if number, ok := sessionNumber(m.SessionID); !ok || number != id {
		r.Others++
		return
	}
	r.Messages++
	if r.Messages == 1 {
		r.First = m.ID
	}
	r.Last = m.ID
	if m.Content != nil {
		r.take(&m, starts)
	}
	m.Content, m.Payload = nil, nil
	if len(sample.Messages) < keptMessages || m.Verdict != burst.OK && len(sample.Messages) < 2*keptMessages {
		sample.Messages = append(sample.Messages, m)
	}
}

// take takes the content of a message in. Starts are where the data of each channel
// began in the last message that had some.
func (r *Recording) take(m *inspect.Message, starts map[uint64]int64) {
	name, begins := nameOf(*m), make(map[uint64]int64)
	defer r.compareStarts(name, begins, starts)
	for _, d := range m.Content.Data {
		switch {
		case d.SessionJSON != nil:
			r.takeJSON(name, d.SessionJSON)
		case d.TimeRange != nil:
			r.HasRange, r.RangeFrom, r.RangeTo = true, d.TimeRange.Start, d.TimeRange.End
		case d.TimestampedData != nil:
			r.takeData(name, uint64(d.TimestampedData.ChannelID), d.TimestampedData.Start, d.TimestampedData.End, begins)
		case d.PeriodicData != nil:
			r.takeData(name, uint64(d.PeriodicData.ChannelID), d.PeriodicData.Start, d.PeriodicData.End, begins)
		case d.RowData != nil:
			for _, channel := range d.RowData.ChannelIDs {
				r.takeData(name, 1<<32|uint64(channel), d.RowData.Time, d.RowData.Time, begins)
			}
		case d.Event != nil:
			r.takeTime(name, d.Event.Time)
		}
	}
}

func (r *Recording) takeJSON(name string, text []byte) {
	if r.FirstJSON == 0 {
		r.FirstJSON = r.Messages
	}
	d, err := burst.ReadSession(text)
	if err != nil {
		return
	}
	r.LastJSON = d
	if d.Identity != r.Session.Identity {
		r.Strangers = example(r.Strangers, name, "identity "+quote(d.Identity))
	}
}

// compareStarts notes where the data of a channel begins before that of the
// message before.
func (r *Recording) compareStarts(name string, begins, starts map[uint64]int64) {
	for channel, start := range begins {
		before, known := starts[channel]
		if known && start < before {
			r.Disorder = example(r.Disorder, name, fmt.Sprintf("channel %d goes back by %s", uint32(channel), time.Duration(before-start)))
		}
		if known || len(starts) < maxChannels {
			starts[channel] = start
		}
	}
}

// takeData notes the times of data of one channel.
func (r *Recording) takeData(name string, channel uint64, start, end int64, begins map[uint64]int64) {
	if first, ok := begins[channel]; !ok || start < first {
		begins[channel] = start
	}
	r.takeTime(name, start)
	r.takeTime(name, end)
}

func (r *Recording) takeTime(name string, ns int64) {
	if !isDataTime(ns) {
		r.Unlikely = example(r.Unlikely, name, fmt.Sprintf("%d%s", ns, dataUnit(ns)))
		return
	}
	if !r.HasData || ns < r.From {
		r.From = ns
	}
	if !r.HasData || ns > r.To {
		r.To = ns
	}
	r.HasData = true
}

// example adds one example, if it is of another message than the last.
func example(all []Example, name, detail string) []Example {
	if len(all) >= maxNames || len(all) > 0 && all[len(all)-1].Name == name {
		return all
	}
	return append(all, Example{name, detail})
}
