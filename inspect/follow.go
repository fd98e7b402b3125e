package inspect

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/streamkeeper/streamkeeper/buffer"
)

// Following says what [Inspector.Follow] follows.
type Following struct {
	Streams []string
	Since   Since
	// Session is the `id` of the messages that are wanted; empty for all.
	Session string
	// Pause waits between two readings, or until the context ends; nil sleeps.
	Pause func(context.Context, time.Duration)
}

// How often it is asked for new messages: producers append some ten a second,
// and a reader does not notice a tenth of one. Where nothing comes, or Redis
// does not answer, the pause doubles up to the longest.
const (
	shortestPause = 100 * time.Millisecond
	longestPause  = time.Second
	longestWait   = 5 * time.Second
	// tailCount bounds the messages of one answer.
	tailCount = 100
)

// ParseSession brings the id of a session's messages into the form that
// [Following] takes.
func ParseSession(text string) (string, error) {
	id, ok := sessionID(text)
	if !ok {
		return "", fmt.Errorf("%q: want the id of a session's messages, a decimal number", text)
	}
	return id, nil
}

// Follow judges the messages of streams as they come, until ctx ends, which is
// no error. It outlives connections that break and streams that come back, and
// goes on after the last message that it saw. Visit is called with none as it
// begins, and an error of it ends the following, too.
// Of the options MaxBytes does not count: what is read at once is bounded.
func (i *Inspector) Follow(ctx context.Context, f Following, visit func([]Message) error) (Report, error) {
	there, refused, err := i.choose(ctx, f.Streams)
	if err := errors.Join(append(refused, err)...); err != nil {
		return Report{}, err
	}
	if f.Pause == nil {
		f.Pause = sleep
	}
	w := &watch{Inspector: i, visit: visit, session: f.Session, report: Report{Streams: int64(len(there))}}
	if err := w.begin(ctx, there, f.Since); err != nil {
		return w.report, unlessEnded(ctx, err)
	}
	if err := visit(nil); err != nil {
		return w.report, err
	}
	for pause := shortestPause; ctx.Err() == nil; {
		progress, err := w.round(ctx)
		if err != nil {
			return w.report, unlessEnded(ctx, err)
		}
		switch progress {
		case behind:
			continue
		case ahead:
			pause = shortestPause
		case idle:
			pause = min(2*pause, longestPause)
		case broken:
			pause = min(2*pause, longestWait)
		}
		f.Pause(ctx, pause)
	}
	return w.report, nil
}

// unlessEnded is nil where an error only says that ctx has ended.
func unlessEnded(ctx context.Context, err error) error {
	if ctx.Err() == nil {
		return err
	}
	return nil
}

func sleep(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// progress is what came of asking all streams; what is larger outweighs.
type progress int

const (
	idle   progress = iota // nothing new
	broken                 // a stream did not answer
	ahead                  // new messages, and all of them read
	behind                 // more of them wait
)

// watch follows streams.
type watch struct {
	*Inspector
	visit   func([]Message) error
	session string
	report  Report
	tails   []*tail
	trouble bool
}

// begin looks where each stream ends.
func (w *watch) begin(ctx context.Context, streams []string, since Since) error {
	now, err := w.store.Now(ctx)
	if err != nil && !errors.Is(err, buffer.ErrClock) {
		return err
	}
	since = since.at(now)
	for _, name := range streams {
		w.tails = append(w.tails, &tail{stream: name})
	}
	for part := range slices.Chunk(w.tails, pipelineCalls) {
		for i, end := range w.store.Tails(ctx, asks(part, 0, 0)) {
			if end.Err != nil {
				return end.Err
			}
			t := part[i]
			t.begin(end, since)
			if since.byTime && !end.LastID.IsZero() && !end.LastID.IsTime(now) {
				t.begin(end, Since{})
				w.o.Log.Warn("the stream's ids are no times: it is followed from its end", "stream", buffer.Escape(t.stream))
			}
		}
	}
	return nil
}

// round asks each stream once.
func (w *watch) round(ctx context.Context) (progress, error) {
	all := idle
	var trouble error
	for part := range slices.Chunk(w.tails, pipelineCalls) {
		for i, got := range w.store.Tails(ctx, asks(part, tailCount, pipelineBytes/int64(len(part)))) {
			if got.Err == nil {
				got.Err = w.take(ctx, part[i], got)
			}
			switch {
			case got.Err != nil && !passing(got.Err):
				return broken, got.Err
			case got.Err != nil:
				all, trouble = max(all, broken), got.Err
			case got.More:
				all = max(all, behind)
			case len(got.Entries) > 0:
				all = max(all, ahead)
			}
		}
	}
	w.tell(ctx, trouble)
	return all, nil
}

// tell says once that Redis does not answer, and once that it does again.
func (w *watch) tell(ctx context.Context, trouble error) {
	switch {
	case ctx.Err() != nil:
	case trouble != nil && !w.trouble:
		w.o.Log.Warn("Redis does not answer: trying again", "class", string(buffer.ClassOf(trouble)), "error", trouble)
	case trouble == nil && w.trouble:
		w.o.Log.Info("Redis answers again")
	}
	w.trouble = trouble != nil
}

// passing reports whether an error may be gone at the next try.
func passing(err error) bool {
	switch buffer.ClassOf(err) {
	case buffer.ClassConnection, buffer.ClassTimeout, buffer.ClassLoading, buffer.ClassMoved:
		return true
	}
	return errors.Is(err, context.Canceled)
}

// take judges what came to one stream, and hands it out.
func (w *watch) take(ctx context.Context, t *tail, got buffer.Tailed) error {
	var messages []Message
	for _, e := range got.Entries {
		m, wanted, err := w.judged(ctx, t, e)
		if err != nil {
			return err
		}
		if wanted {
			messages = append(messages, m)
		}
	}
	for _, m := range messages {
		w.report.count(m)
		w.report.Bytes += m.CompressedBytes
		w.o.OnMessage(m)
	}
	missed, back := t.advance(got)
	if missed > 0 {
		w.o.Log.Warn("entries were removed before they were seen", "stream", buffer.Escape(t.stream), "entries", missed)
	}
	if back {
		w.o.Log.Warn("the stream went back to an earlier id: it is followed from its end", "stream", buffer.Escape(t.stream))
	}
	if len(messages) == 0 {
		return nil
	}
	return w.visit(messages)
}

// judged judges a message, unless it is of another session or is gone.
func (w *watch) judged(ctx context.Context, t *tail, e buffer.Entry) (m Message, wanted bool, err error) {
	m = Message{Stream: t.stream, ID: e.ID}
	if e.Fields == nil && e.Bytes > w.judge.longest() {
		w.judge.unread(&m, e.Bytes)
		return m, w.session == "", nil
	}
	if e.Fields == nil {
		found, err := w.store.Peeks(ctx, []buffer.Peek{{Stream: t.stream, From: e.ID, Before: after(e.ID), MaxBytes: e.Bytes}})
		if err == nil {
			err = found[0].Err
		}
		if err != nil || found[0].Fields == nil {
			return m, false, err
		}
		e.Fields = found[0].Fields
	}
	if w.session != "" {
		if id, ok := sessionID(firstOf(e.Fields, fieldID)); !ok || id != w.session {
			return m, false, nil
		}
	}
	w.judge.fields(&m, e.Fields, w.packings.get(t.stream))
	w.packings.put(t.stream, m.Encoding)
	return m, true, nil
}

// firstOf is the first value of a field among names and values in turn.
func firstOf(fields []string, name string) string {
	for i := 0; i+1 < len(fields); i += 2 {
		if fields[i] == name {
			return fields[i+1]
		}
	}
	return ""
}
