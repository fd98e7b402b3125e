// Package inspect looks at a few messages of each stream and says whether what
// flows is valid.
//
// It reads little: the newest message of a stream, the oldest and some between,
// none of them twice until all were read, and never more bytes in a run than it
// was given; what a run does not reach comes first in the next. Each
// message gets a verdict from package burst. Whether streams, sessions and
// messages go together is for package doctor to say.
package inspect

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/streamkeeper/streamkeeper/buffer"
	"github.com/streamkeeper/streamkeeper/burst"
)

// Store is what inspection needs of the stream buffer. It only reads.
type Store interface {
	Time(context.Context) (time.Time, error)
	Owns(stream string) bool
	Names() buffer.Names
	WalkStreams(ctx context.Context, visit func(names []string) error) error
	Lengths(ctx context.Context, names []string) ([]buffer.Length, error)
	Sizes(ctx context.Context, names []string) ([]int64, error)
	Infos(ctx context.Context, names []string) ([]buffer.StreamInfo, error)
	Peeks(context.Context, []buffer.PeekRequest) ([]buffer.PeekResult, error)
	Tails(context.Context, []buffer.TailRequest) []buffer.TailResult
	FlowRate(ctx context.Context, stream string) (float64, error)
}

// Defaults of [Options].
const (
	// DefaultSamples finds one bad message in a thousand within a day with a
	// probability of 0.9, at a run every five minutes: 1 - 0.999^(8*288).
	DefaultSamples = 8
	// DefaultMaxBytes reads a thousand bursts of the recommended size.
	DefaultMaxBytes = 64 << 20
)

// Options of an [Inspector]. Functions may be nil.
type Options struct {
	// Samples is how many messages of each stream are looked at; 0 means
	// [DefaultSamples].
	Samples int
	// MaxBytes is the most that one run reads, in bytes; 0 means
	// [DefaultMaxBytes].
	MaxBytes int64
	// Encoding is the only encoding to try, unless it is [burst.Auto].
	Encoding burst.Encoding
	// MaxBurst is the length in bytes past which an uncompressed burst is
	// invalid; 0 means [burst.DefaultMaxBurst].
	MaxBurst int
	// Decode adds the content of each burst that can be read to its judgement.
	Decode bool
	// Keep adds the payload itself to each judgement.
	Keep bool
	// Summaries asks for a summary of each stream in the report.
	Summaries bool

	// OnMessage is told of each message of a stream that was judged.
	OnMessage func(Message)
	// OnMalformed is told the kind of what cannot be inspected as it should.
	OnMalformed func(kind string)
	// OnProgress is told how far a run is, after each few streams.
	OnProgress func(Progress)
	Log        *slog.Logger
}

// Progress is how far a run is.
type Progress struct{ Streams, Messages int64 }

// Report is what one run found.
type Report struct {
	Messages, OK, Warn, Invalid int64
	// Bytes of payloads that were read, as they lie in Redis.
	Bytes int64
	// Streams that were looked into.
	Streams int64
	// StreamsLeft were not looked into, or not as far as wanted, because
	// MaxBytes was reached.
	StreamsLeft int64
	// Errors is how many streams or files could not be read.
	Errors int64
	// Missed is how many messages went before they were seen, at least. Only
	// [Inspector.Follow] counts them.
	Missed int64
	// Summaries of the streams by name, if they were asked for.
	Summaries []Summary
}

func (r *Report) count(m Message) {
	r.Messages++
	switch m.Verdict {
	case burst.OK:
		r.OK++
	case burst.Warn:
		r.Warn++
	default:
		r.Invalid++
	}
}

// Inspector inspects streams, run after run, and remembers the
// encoding of each and what was not seen of it. It is not safe for concurrent use.
type Inspector struct {
	store     Store
	o         Options
	judge     *judge
	encodings *encodings
	memory    *memory
	// random returns a number below another, which must not be 0.
	random func(uint64) uint64
}

// New makes an inspector over a store.
func New(store Store, o Options) *Inspector {
	if o.Samples <= 0 {
		o.Samples = DefaultSamples
	}
	if o.MaxBytes <= 0 {
		o.MaxBytes = DefaultMaxBytes
	}
	if o.OnMessage == nil {
		o.OnMessage = func(Message) {}
	}
	if o.OnMalformed == nil {
		o.OnMalformed = func(string) {}
	}
	if o.OnProgress == nil {
		o.OnProgress = func(Progress) {}
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Inspector{store: store, o: o, judge: newJudge(o), encodings: newEncodings(), memory: newMemory(), random: rand.Uint64N}
}

// Run looks into every stream that is ours and hands each judgement to visit.
// If MaxBytes does not reach all, those come first that were not looked into for
// the most runs, and of these the most recently active.
// The error says what broke the run off; streams that could not be read are
// counted in the report.
func (i *Inspector) Run(ctx context.Context, visit func(Message)) (Report, error) {
	return newRun(i, visit).all(ctx, i.store.WalkStreams)
}

// Why [Inspector.Inspect] refuses a name.
var (
	ErrNoStream  = errors.New("there is no such stream")
	ErrNotStream = errors.New("the key does not hold a stream")
	ErrNotOurs   = errors.New("the stream is not among those included")
	ErrNoMessage = errors.New("the stream has no message with this id")
)

// Inspect is [Inspector.Run] over the streams with the given names. The error
// names each that cannot be looked into; the others are inspected all the
// same.
func (i *Inspector) Inspect(ctx context.Context, names []string, visit func(Message)) (Report, error) {
	there, missing, refused, err := i.choose(ctx, names)
	if err != nil {
		return Report{}, err
	}
	refused = append(refused, noStreams(missing)...)
	report, err := newRun(i, visit).all(ctx, pagesOf(there))
	report.Errors += int64(len(refused))
	return report, errors.Join(append(refused, err)...)
}

// InspectOne judges the message with an id in each of the streams with the given
// names. The error names each that has none.
func (i *Inspector) InspectOne(ctx context.Context, names []string, id buffer.ID, visit func(Message)) (Report, error) {
	there, missing, refused, err := i.choose(ctx, names)
	if err != nil {
		return Report{}, err
	}
	refused = append(refused, noStreams(missing)...)
	r := newRun(i, visit)
	for _, name := range there {
		found, err := i.store.Peeks(ctx, []buffer.PeekRequest{{Stream: name, From: id, Before: after(id), MaxBytes: i.judge.longest()}})
		if err == nil {
			err = found[0].Err
		}
		if err == nil && !found[0].Found {
			err = ErrNoMessage
		}
		if err != nil {
			refused = append(refused, fmt.Errorf("message %s of stream %s: %w", id, buffer.Quote(name), err))
			continue
		}
		m := Message{Stream: name, ID: id}
		if found[0].Fields == nil {
			i.judge.unread(&m, found[0].Bytes)
		} else {
			i.judge.fields(&m, found[0].Fields, burst.Auto)
			r.report.Bytes += m.CompressedBytes
		}
		r.report.Streams++
		r.report.count(m)
		r.visit(m)
		r.report.Summaries = append(r.report.Summaries, *newSummary(name, 1, []Message{m}, 0))
	}
	r.report.Errors += int64(len(refused))
	return r.report, errors.Join(refused...)
}

// noStreams are the errors of streams that are not there.
func noStreams(missing []string) []error {
	refused := make([]error, len(missing))
	for i, name := range missing {
		refused[i] = fmt.Errorf("stream %s: %w", buffer.Quote(name), ErrNoStream)
	}
	return refused
}

// choose sorts out the names that no stream has yet, and those that cannot be
// inspected, with the reasons.
func (i *Inspector) choose(ctx context.Context, names []string) (there, missing []string, refused []error, err error) {
	refuse := func(name string, err error) {
		refused = append(refused, fmt.Errorf("stream %s: %w", buffer.Quote(name), err))
	}
	names, err = i.meant(ctx, names)
	if err != nil {
		return nil, nil, nil, err
	}
	var ours []string
	for _, name := range names {
		switch {
		case slices.Contains(ours, name):
		case i.store.Owns(name):
			ours = append(ours, name)
		default:
			refuse(name, ErrNotOurs)
		}
	}
	infos, err := i.store.Infos(ctx, ours)
	if err != nil {
		return nil, nil, nil, err
	}
	for n, name := range ours {
		switch info := infos[n]; {
		case info.Err != nil:
			refuse(name, info.Err)
		case info.Type == "none":
			missing = append(missing, name)
		case !info.Exists():
			i.o.OnMalformed(malformedType)
			refuse(name, ErrNotStream)
		default:
			there = append(there, name)
		}
	}
	return there, missing, refused, nil
}

// meant takes the prefix of the key off the names that were given with it, unless
// there is a stream whose name is like that.
func (i *Inspector) meant(ctx context.Context, names []string) ([]string, error) {
	var prefixed []string
	for _, name := range names {
		if _, ok := i.store.Names().StreamOf(name); ok {
			prefixed = append(prefixed, name)
		}
	}
	if len(prefixed) == 0 {
		return names, nil
	}
	infos, err := i.store.Infos(ctx, prefixed)
	if err != nil {
		return nil, err
	}
	names = slices.Clone(names)
	for n, name := range prefixed {
		if infos[n].Err != nil || infos[n].Type != "none" {
			continue
		}
		plain, _ := i.store.Names().StreamOf(name)
		i.o.Log.Info("took name without key prefix", "stream", buffer.Escape(plain))
		names[slices.Index(names, name)] = plain
	}
	return names, nil
}
