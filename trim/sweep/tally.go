package sweep

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/streamkeeper/streamkeeper/buffer"
	"github.com/streamkeeper/streamkeeper/internal/human"
	"github.com/streamkeeper/streamkeeper/internal/redisconn"
	"github.com/streamkeeper/streamkeeper/trim"
)

// tally is what a run has done so far.
type tally struct {
	o      *Options
	report Report
	errors map[redisconn.Class]int64
	// examples are the first errors of each class.
	examples map[redisconn.Class]error
	// others are keys of another type, and other is one of them.
	others int64
	other  string
	// held are streams that consumer groups protect, by group; not all if there
	// are many.
	held map[string]string
	// trimmed are the streams that lost an entry; nil unless one may do so twice.
	trimmed map[string]bool
	// unknown are streams of which it is not known whether they lost entries.
	unknown map[string]bool
	inNodes inNodes
	shown   time.Time
	// used are the rules of the policies that a stream has.
	used []bool
}

// newTally begins to count. Under memory pressure a stream may lose entries by
// its policy, and then again.
func newTally(o *Options, twice bool) *tally {
	t := &tally{
		o: o, errors: make(map[redisconn.Class]int64), examples: make(map[redisconn.Class]error), held: make(map[string]string),
		unknown: make(map[string]bool),
		used:    make([]bool, len(o.Policies.Rules)),
	}
	if twice {
		t.trimmed = make(map[string]bool)
	}
	return t
}

// removed counts what a call took from a stream.
func (t *tally) removed(o outcome) {
	entries := o.result.Removed
	if entries <= 0 {
		return
	}
	if o.isFirst && !t.trimmed[o.stream] {
		t.report.StreamsTrimmed++
		if t.trimmed != nil {
			t.trimmed[o.stream] = true
		}
	}
	t.report.EntriesRemoved += entries
	t.report.BytesRemoved += o.freed
	t.o.OnRemoved(Removed{Stream: o.stream, Reason: o.by, Entries: entries, Bytes: o.freed})
}

// unanswered counts a stream of which nobody knows whether it lost entries: no reply
// came to a call.
func (t *tally) unanswered(o outcome) {
	t.unknown[o.stream] = true
	t.o.OnUnknown(o.stream, o.result.Err)
}

// notKnown adds to what broke a run off how much of what it did is not known.
func (t *tally) notKnown(err error) error {
	n := len(t.unknown)
	if n == 0 {
		return err
	}
	text := fmt.Sprintf("entries of %s may have gone, as no reply came", human.Plural(n, "stream"))
	if err == nil {
		return errors.New(text)
	}
	return fmt.Errorf("%w; %s", err, text)
}

// freed counts bytes that entries took which are counted already.
func (t *tally) freed(stream string, by trim.Reason, bytes int64) {
	t.report.BytesRemoved += bytes
	t.o.OnRemoved(Removed{Stream: stream, Reason: by, Bytes: bytes})
}

// failed counts a stream that could not be trimmed: one of another type is
// malformed and skipped, anything else is an error.
func (t *tally) failed(stream string, err error) {
	class := redisconn.ClassOf(err)
	if class == redisconn.ClassWrongType {
		t.o.OnMalformed("stream_type")
		t.o.Log.Debug("skipped key of another type", "stream", buffer.Escape(stream))
		t.others, t.other = t.others+1, stream
		return
	}
	t.report.Errors++
	t.errors[class]++
	if t.examples[class] == nil {
		t.examples[class] = fmt.Errorf("stream %s: %w", buffer.Quote(stream), err)
	}
	t.o.Log.Debug("stream not trimmed", "stream", buffer.Escape(stream), "error", err)
}

// maxHeld is how many streams that groups protect are counted in a run.
const maxHeld = 1000

// hold counts a stream of which a consumer group protects entries.
func (t *tally) hold(stream, group string) {
	if group == "" {
		return
	}
	if len(t.held) < maxHeld {
		t.held[stream] = group
	}
	t.o.Log.Debug("consumer group protects entries", "stream", buffer.Escape(stream), "group", buffer.Escape(group))
}

// log says each class of error once, with its count.
func (t *tally) log() {
	for _, class := range slices.Sorted(maps.Keys(t.examples)) {
		t.report.Examples = append(t.report.Examples, t.examples[class])
		t.o.Log.Warn("streams not trimmed", "class", string(class), "streams", t.errors[class], "example", t.examples[class])
	}
	t.inNodes.log(t.o.Log)
	if n := len(t.held); n > 0 {
		stream := slices.Min(slices.Collect(maps.Keys(t.held)))
		t.o.Log.Info("entries protected by consumer groups", "streams", n, "example", buffer.Escape(stream), "group", buffer.Escape(t.held[stream]))
	}
}

// progress says how far the run is, at most five times a second.
func (t *tally) progress(always bool, waiting int) {
	if now := time.Now(); always || now.Sub(t.shown) > 200*time.Millisecond {
		t.shown = now
		t.o.OnProgress(Progress{Streams: t.report.Streams, Entries: t.report.EntriesRemoved, Waiting: waiting})
	}
}
