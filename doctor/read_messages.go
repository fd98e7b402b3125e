package doctor

import (
	"context"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/streamkeeper/streamkeeper/buffer"
	"github.com/streamkeeper/streamkeeper/inspect"
	"github.com/streamkeeper/streamkeeper/internal/redisconn"
)

// Bounds of what is read of messages.
const (
	sampledStreams = 200
	sampleMessages = 3
	sampleBytes    = 16 << 20
)

// samples are messages of the streams to which something came last.
type samples struct {
	streams []Stream
	read    map[string]*Sample
	// known says of the ids that messages have whether a session has it.
	known map[uint64]bool
	// left are streams whose messages were not all read that were to be, as there
	// was no room for them.
	left int64
}

func newSamples() *samples {
	return &samples{read: make(map[string]*Sample), known: make(map[uint64]bool)}
}

// offer takes a stream into account; of all, those are kept to which something
// came last.
func (s *samples) offer(stream *Stream) {
	if stream.Info.Length == 0 {
		return
	}
	if s.streams = append(s.streams, *stream); len(s.streams) >= 2*sampledStreams {
		s.cut()
	}
}

func (s *samples) cut() {
	slices.SortFunc(s.streams, func(a, b Stream) int { return b.Info.Newest.Compare(a.Info.Newest) })
	s.streams = slices.CompactFunc(s.streams, func(a, b Stream) bool { return a.Name == b.Name })
	s.streams = s.streams[:min(len(s.streams), sampledStreams)]
}

// readMessages samples messages of these streams.
func (e *examination) readMessages(ctx context.Context) error {
	e.samples.cut()
	names := make([]string, len(e.samples.streams))
	for i, s := range e.samples.streams {
		names[i] = s.Name
		e.samples.read[s.Name] = &Sample{Stream: s}
	}
	if len(names) == 0 {
		return nil
	}
	o := e.o.Inspect
	o.Samples, o.MaxBytes = sampleMessages, sampleBytes
	o.OnMessage, o.OnMalformed, o.OnProgress = nil, nil, nil
	report, err := inspect.New(e.b, o).Inspect(ctx, names, func(m inspect.Message) {
		m.Payload, m.Content = nil, nil
		if s := e.samples.read[m.Stream]; s != nil {
			s.Messages = append(s.Messages, m)
		}
		if id, ok := sessionNumber(m.SessionID); ok {
			e.samples.known[id] = false
		}
	})
	if isBroken(err) || ctx.Err() != nil {
		return err
	}
	e.samples.left = report.StreamsLeft
	if isDenied(err) { // else a stream that went meanwhile
		e.unread.note(factMessages, err)
	}
	return nil
}

// sessionNumber is a stream session id as a number.
func sessionNumber(text string) (uint64, bool) {
	n, err := strconv.ParseUint(text, 10, 64)
	return n, err == nil
}

// meet notes that a session has an id.
func (s *samples) meet(id uint64) {
	if _, asked := s.known[id]; asked {
		s.known[id] = true
	}
}

// finish hands out the samples, with the recent messages that belong to nobody.
func (s *samples) finish(streams *streamTable, now time.Time, recent time.Duration) []*Sample {
	var all []*Sample
	for _, name := range slices.Sorted(maps.Keys(s.read)) {
		sample := s.read[name]
		note, _ := streams.find(name)
		sample.Sessions = int64(note.live)
		for _, m := range sample.Messages {
			id, ok := sessionNumber(m.SessionID)
			if ok && !s.known[id] && m.ID.IsTime(now) && now.Sub(m.ID.Time()) <= recent {
				sample.Orphans = append(sample.Orphans, m)
			}
		}
		all = append(all, sample)
	}
	return all
}

// Bounds of the look for messages of sessions.
const (
	attendedMessages = 1000
	attendedBytes    = 8 << 20
	attendedInAll    = 20_000
)

// readAttended looks for the messages of some sessions.
func (e *examination) readAttended(ctx context.Context) error {
	looks := make(map[string]*buffer.Arrived)
	left := attendedInAll
	for _, a := range e.sessions.attended {
		look, ok := looks[a.Session.Stream]
		if !ok {
			if left <= 0 {
				continue
			}
			var err error
			if look, err = e.lookAt(ctx, a.Session.Stream); err != nil {
				if !e.unread.note(factAttended, err) {
					return err
				}
				return nil
			}
			left -= look.Messages
			looks[a.Session.Stream] = look
		}
		if look.Err != nil {
			if redisconn.ClassOf(look.Err) != redisconn.ClassWrongType { // stream-type says so
				e.unread.note(factAttended, look.Err)
			}
			continue
		}
		a.take(look)
		e.whole.Attended = append(e.whole.Attended, *a)
	}
	return nil
}

// lookAt looks at the newest messages of a stream; they stay on the server.
func (e *examination) lookAt(ctx context.Context, stream string) (*buffer.Arrived, error) {
	all := new(buffer.Arrived)
	ask := buffer.Arrivals{Stream: stream, Messages: attendedMessages, Bytes: attendedBytes}
	for !all.End && ask.Messages > 0 && ask.Bytes > 0 {
		found, err := e.b.Arrivals(ctx, []buffer.Arrivals{ask})
		if err != nil {
			return nil, err
		}
		f := found[0]
		if f.Err != nil {
			return &f, nil //nolint:nilerr // it is part of what was found
		}
		all.Marks, all.Messages, all.End = append(all.Marks, f.Marks...), all.Messages+f.Messages, f.End
		if !f.Oldest.IsZero() {
			all.Oldest, ask.Before = f.Oldest, f.Oldest
		}
		ask.Messages, ask.Bytes = ask.Messages-f.Messages, ask.Bytes-f.Bytes
		if f.Messages == 0 {
			break
		}
	}
	return all, nil
}

// take notes what a look at the stream has found of the session.
func (a *Attended) take(look *buffer.Arrived) {
	mark := buffer.SessionRef(a.Session.ID)
	for _, m := range look.Marks {
		if m.Session == mark && (!a.Found || m.ID.Time().After(a.Newest)) {
			a.Found, a.Newest = true, m.ID.Time()
		}
	}
	a.Whole, a.Since = look.End && look.Messages > 0, look.Oldest.Time()
}
