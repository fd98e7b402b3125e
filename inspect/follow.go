package inspect

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/streamkeeper/streamkeeper/buffer"
	"github.com/streamkeeper/streamkeeper/internal/redisconn"
)

// Following says what [Inspector.Follow] follows.
type Following struct {
	Streams []string
	Since   Since
	// Session is the `id` of the messages that are wanted; empty for all.
	Session string
	// Count is how many messages are wanted; 0 is no end.
	Count int64
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
	there, missing, refused, err := i.choose(ctx, f.Streams)
	if err := errors.Join(append(refused, err)...); err != nil {
		return Report{}, err
	}
	for _, name := range missing {
		i.o.Log.Info("waiting for stream", "stream", buffer.Escape(name))
	}
	there = append(there, missing...)
	if f.Pause == nil {
		f.Pause = sleep
	}
	w := &watch{Inspector: i, visit: visit, session: f.Session, wanted: f.Count, report: Report{Streams: int64(len(there))}}
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
		if w.complete() {
			break
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
	wanted  int64
	report  Report
	tails   []*tail
	trouble bool
	// read is how many bytes of payloads were read and are not yet reported.
	read int64
}

// begin looks where each stream ends.
func (w *watch) begin(ctx context.Context, streams []string, since Since) error {
	now, err := w.store.Time(ctx)
	if err != nil {
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
				w.o.Log.Warn("following stream from its end", "stream", buffer.Escape(t.stream), "reason", "its ids are not times")
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
			var output outputError
			switch {
			case errors.As(got.Err, &output):
				return broken, output.error
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

// outputError is an error of who is shown the messages. It ends the following;
// those of Redis do not, whatever they are: a password that is changed, a right
// that is missing or a key of another type may be mended while one waits.
type outputError struct{ error }

// complete reports whether there are as many messages as were wanted.
func (w *watch) complete() bool { return w.wanted > 0 && w.report.Messages >= w.wanted }

// tell says once that something cannot be read, and once that it can again.
func (w *watch) tell(ctx context.Context, trouble error) {
	switch {
	case ctx.Err() != nil:
	case trouble != nil && !w.trouble:
		w.o.Log.Warn("cannot read streams, trying again", "class", string(redisconn.ClassOf(trouble)), "error", trouble)
	case trouble == nil && w.trouble:
		w.o.Log.Info("streams can be read again")
	}
	w.trouble = trouble != nil
}

// take judges what came to one stream, and hands it out.
func (w *watch) take(ctx context.Context, t *tail, got buffer.TailResult) error {
	var messages []Message
	for _, e := range got.Entries {
		if w.wanted > 0 && w.report.Messages+int64(len(messages)) >= w.wanted {
			break
		}
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
		w.o.OnMessage(m)
	}
	w.report.Bytes += w.read
	w.read = 0
	w.advance(t, got)
	if len(messages) == 0 {
		return nil
	}
	if err := w.visit(messages); err != nil {
		return outputError{err}
	}
	return nil
}

// advance takes in how far a stream was read, and says what could not be seen.
func (w *watch) advance(t *tail, got buffer.TailResult) {
	became, missed := t.advance(got)
	w.report.Missed += missed
	log := w.o.Log.With("stream", buffer.Escape(t.stream))
	// What came to a stream after the last look at it went with it, uncounted.
	const uncounted = "what came since the last reading"
	switch became {
	case goesOn:
	case cutOff:
		log.Warn("entries were removed before they were seen", "entries", missed)
	case mayBeCutOff:
		log.Warn("entries may have gone unseen", "reason", "this version of Redis does not count them")
	case removed:
		log.Warn("stream was removed", "unseen_at_least", missed, "unseen", uncounted)
	case replaced:
		log.Warn("stream was replaced", "unseen_at_least", missed, "unseen", uncounted)
	case wentBack:
		log.Warn("stream went back to an earlier id", "continues", "from its end", "unseen_at_least", missed, "unseen", uncounted)
	}
}

// judged judges a message, unless it is of another session or is gone.
func (w *watch) judged(ctx context.Context, t *tail, e buffer.Entry) (m Message, wanted bool, err error) {
	m = Message{Stream: t.stream, ID: e.ID}
	e, there, err := w.Fetched(ctx, t.stream, e)
	switch {
	case err != nil || !there:
		return m, false, err
	case e.Fields == nil:
		w.judge.unread(&m, e.Bytes)
		return m, w.session == "", nil
	}
	if w.session != "" {
		if id, ok := sessionID(firstOf(e.Fields, fieldID)); !ok || id != w.session {
			return m, false, nil
		}
	}
	w.judge.fields(&m, e.Fields, w.encodings.get(t.stream))
	w.read += m.CompressedBytes
	w.encodings.put(t.stream, m.Encoding)
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
