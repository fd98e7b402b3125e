package metrics

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"go.uber.org/goleak"

	"github.com/streamkeeper/streamkeeper/buffer"
	"github.com/streamkeeper/streamkeeper/internal/redisconn"
	"github.com/streamkeeper/streamkeeper/internal/redistest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func openBuffer(t *testing.T, s *redistest.Server) *buffer.Buffer {
	t.Helper()
	b, err := buffer.Open(t.Context(), buffer.Options{Connection: redisconn.Connection{URL: s.URL()}, ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	return b
}

func TestAReadingLearnsLengthsOfAllAndIDsOfTheLargest(t *testing.T) {
	server := redistest.Start(t)
	ctx := t.Context()
	now := time.Now()
	payload := strings.Repeat("x", 1<<16)
	const streams = 300
	pipe := server.Client.Pipeline()
	for i := range streams {
		name := fmt.Sprintf("s%03d", i)
		pipe.SAdd(ctx, "streams", name)
		for n := range i%3 + 1 {
			pipe.XAdd(ctx, &redis.XAddArgs{Stream: "stream:" + name, Values: []any{"data", payload[:3000]}, ID: fmt.Sprintf("%d-0", n+1)})
		}
	}
	for n := range 10 {
		id := fmt.Sprintf("%d-0", now.Add(time.Duration(n-10)*time.Minute).UnixMilli())
		pipe.XAdd(ctx, &redis.XAddArgs{Stream: "stream:long", Values: []any{"data", payload}, ID: id})
	}
	pipe.SAdd(ctx, "streams", "long", "no key", "text")
	pipe.Set(ctx, "stream:text", "not a stream", 0)
	if _, err := pipe.Exec(ctx); err != nil {
		t.Fatal(err)
	}
	m := newMetrics(2)
	m.Leader(true)
	reader := NewReader(openBuffer(t, server), m)
	if err := server.ResetCalls(ctx); err != nil {
		t.Fatal(err)
	}
	sentBefore := bytesSent(t, server)
	if err := reader.Read(ctx); err != nil {
		t.Fatal(err)
	}
	if sent := bytesSent(t, server) - sentBefore; sent > int64(len(payload)) {
		t.Errorf("Redis sent %d bytes, so a payload was among them", sent)
	}
	got := values(t, m)
	want := map[string]float64{
		`streamkeeper_streams`:                                streams + 3,
		`streamkeeper_stream_entries{stream="long"}`:          10,
		`streamkeeper_stream_entries{stream="s002"}`:          3,
		`streamkeeper_stream_entries{stream="_other"}`:        streams/3*6 - 3,
		`streamkeeper_stream_coverage_seconds{stream="long"}`: 9 * 60,
		`streamkeeper_stream_idle_seconds{stream="_other"}`:   0,
		`streamkeeper_stream_limit_entries{stream="long"}`:    0,
	}
	for series, value := range want {
		if got[series] != value {
			t.Errorf("%s = %v, want %v", series, got[series], value)
		}
	}
	if idle := got[`streamkeeper_stream_idle_seconds{stream="long"}`]; idle < 60 || idle > 120 {
		t.Errorf("idle for %v s, want about a minute", idle)
	}
	calls, err := server.CommandCalls(ctx)
	if err != nil {
		t.Fatal(err)
	}
	// Of the streams that have entries the memory is sampled, and then the two largest
	// are measured: each time with the length.
	if calls["xlen"] != streams+3+streams+1+2 || calls["xinfo|stream"] != 2 || calls["memory|usage"] != streams+1+2 {
		t.Errorf("calls %v, want XLEN for each of %d streams, XINFO STREAM for the 2 largest, and MEMORY USAGE and another XLEN for those and each that has entries", calls, streams+3)
	}
}

func bytesSent(t *testing.T, s *redistest.Server) int64 {
	t.Helper()
	info, err := s.Client.InfoMap(t.Context(), "stats").Result()
	if err != nil {
		t.Fatal(err)
	}
	var n int64
	if _, err := fmt.Sscan(info["Stats"]["total_net_output_bytes"], &n); err != nil {
		t.Fatal(err)
	}
	return n
}

// fakeStore has streams of one length each.
type fakeStore struct {
	lengths map[string]int64
	// each is what an entry takes, where it is not 100, and measured counts how often
	// a stream was measured, if it is not nil.
	each     map[string]int64
	measured map[string]int
	// estimated counts estimates, and is nil where Redis can count.
	estimated map[string]int
	now       error
	lost      error
}

func (s fakeStore) Time(context.Context) (time.Time, error) { return testNow, s.now }

func (s fakeStore) WalkStreams(_ context.Context, visit func([]string) error) error {
	for name := range s.lengths {
		if err := visit([]string{name}); err != nil {
			return err
		}
	}
	return s.lost
}

func (s fakeStore) Lengths(_ context.Context, names []string) ([]buffer.Length, error) {
	var all []buffer.Length
	for _, name := range names {
		all = append(all, buffer.Length{Entries: s.lengths[name]})
	}
	return all, nil
}

func (s fakeStore) Infos(_ context.Context, names []string) ([]buffer.StreamInfo, error) {
	var all []buffer.StreamInfo
	for _, name := range names {
		all = append(all, buffer.StreamInfo{Type: "stream", Length: s.lengths[name]})
	}
	return all, nil
}

func (s fakeStore) EntryMemories(_ context.Context, names []string) ([]buffer.EntryMemory, error) {
	var all []buffer.EntryMemory
	for _, name := range names {
		if s.measured != nil {
			s.measured[name]++
		}
		all = append(all, buffer.EntryMemory{Length: s.lengths[name], Bytes: cmp.Or(s.each[name], 100) * s.lengths[name], Uncounted: s.estimated != nil})
	}
	return all, nil
}

func (s fakeStore) EstimateEntryMemory(_ context.Context, name string, _ buffer.EntryMemory) (buffer.EntryMemory, error) {
	s.estimated[name]++
	return buffer.EntryMemory{Length: s.lengths[name], Bytes: 1000, Estimated: true, Sampled: true}, nil
}

// Redis cannot count what streams with consumer groups take: few are estimated in a
// reading, in turn, and keep what was found.
func TestFewStreamsAreEstimatedInAReading(t *testing.T) {
	m := newMetrics(10)
	m.Leader(true)
	store := fakeStore{lengths: make(map[string]int64), estimated: make(map[string]int)}
	for i := range 10 {
		store.lengths[fmt.Sprint("s", i)] = 5
	}
	r := NewReader(store, m)
	for reading := range 5 {
		if err := r.Read(t.Context()); err != nil {
			t.Fatal(err)
		}
		total := 0
		for _, n := range store.estimated {
			total += n
		}
		// In the first they have no labels yet, and are estimated as such too.
		if want := estimatedAReading * (reading + 2); total != want {
			t.Errorf("reading %d: %d estimates, want %d", reading, total, want)
		}
	}
	for i := range 10 {
		name := fmt.Sprint("s", i)
		if n := store.estimated[name]; n < 1 || n > 3 {
			t.Errorf("%s was estimated %d times", name, n)
		}
		wantValue(t, m, fmt.Sprintf(`streamkeeper_stream_bytes{stream=%q}`, name), 1000)
	}
}

func TestAReadingThatFailsLeavesTheFigures(t *testing.T) {
	m := newMetrics(3)
	m.Leader(true)
	if err := NewReader(fakeStore{lengths: map[string]int64{"a": 1}}, m).Read(t.Context()); err != nil {
		t.Fatal(err)
	}
	before := values(t, m)
	failure := errors.New("the connection broke")
	for _, store := range []fakeStore{
		{lengths: map[string]int64{"b": 1}, lost: failure},
		{lengths: map[string]int64{"b": 1}, now: failure},
	} {
		if err := NewReader(store, m).Read(t.Context()); !errors.Is(err, failure) {
			t.Errorf("error %v, want %v", err, failure)
		}
	}
	if after := values(t, m); !maps.Equal(before, after) {
		t.Errorf("the figures changed:\n%v\n%v", before, after)
	}
}

// The first reading comes before whatever is counted by stream; later it is the
// business of the job that reads.
func TestTheFirstReadingIsTakenOnceWhileAReplicaLeads(t *testing.T) {
	m := newMetrics(3)
	first := func(lengths map[string]int64) {
		t.Helper()
		if err := NewReader(fakeStore{lengths: lengths}, m).ReadFirst(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	m.Leader(true)
	first(map[string]int64{"a": 1})
	first(map[string]int64{"a": 2})
	wantValue(t, m, `streamkeeper_stream_entries{stream="a"}`, 1)
	m.Leader(false)
	m.Leader(true)
	first(map[string]int64{"a": 3})
	wantValue(t, m, `streamkeeper_stream_entries{stream="a"}`, 3)
}

func TestFiguresOfAStream(t *testing.T) {
	id := func(ago time.Duration) buffer.ID { return buffer.TimeID(testNow.Add(-ago)) }
	counter := buffer.ID{Ms: 7}
	tests := []struct {
		name string
		info buffer.StreamInfo
		want figures
	}{
		{"a stream with entries", buffer.StreamInfo{Type: "stream", Length: 2, First: id(time.Hour), Newest: id(time.Minute), LastID: id(time.Minute)},
			figures{entries: 2, timed: true, coverage: 59 * time.Minute, idle: time.Minute}},
		{"one that was trimmed to nothing", buffer.StreamInfo{Type: "stream", LastID: id(time.Minute)},
			figures{timed: true, idle: time.Minute}},
		{"one that never had an entry", buffer.StreamInfo{Type: "stream"}, figures{}},
		{"ids that count", buffer.StreamInfo{Type: "stream", Length: 2, First: buffer.ID{Ms: 6}, Newest: counter, LastID: counter}, figures{entries: 2}},
		{"ids that became times", buffer.StreamInfo{Type: "stream", Length: 2, First: counter, Newest: id(0), LastID: id(0)}, figures{entries: 2}},
		{"a producer whose clock is ahead", buffer.StreamInfo{Type: "stream", Length: 1, First: id(-time.Hour), Newest: id(-time.Hour), LastID: id(-time.Hour)},
			figures{entries: 1, timed: true}},
		{"nodes that are not all full", buffer.StreamInfo{Type: "stream", Length: 201, Nodes: 3, First: counter, Newest: counter, LastID: counter},
			figures{entries: 201, nodeEntries: 67}},
		{"a key that is gone meanwhile", buffer.StreamInfo{Type: "none"}, figures{entries: 9}},
		{"a stream that could not be asked", buffer.StreamInfo{Err: errors.New("no")}, figures{entries: 9}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := figuresOf(9, tt.info, testNow); got != tt.want {
				t.Errorf("%+v, want %+v", got, tt.want)
			}
		})
	}
}

// readAll reads so many times, and returns how many streams were measured then.
func readAll(t *testing.T, r *Reader, store fakeStore, readings int) (measured int) {
	t.Helper()
	clear(store.measured)
	for range readings {
		if err := r.Read(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	for _, n := range store.measured {
		measured += n
	}
	return measured
}

// Each stream is measured in its turn, and one whose few entries are large then has a
// label, however long the others are.
func TestTheLargestByMemoryHaveLabelsHoweverManyStreamsThereAre(t *testing.T) {
	const labels, streams = 10, 4500
	m := newMetrics(labels)
	m.Leader(true)
	store := fakeStore{lengths: make(map[string]int64), each: make(map[string]int64), measured: make(map[string]int)}
	for i := range streams {
		store.lengths[fmt.Sprint("small", i)] = 1000
	}
	for i := range labels {
		name := fmt.Sprint("large", i)
		store.lengths[name], store.each[name] = 20, 1<<20
	}
	r := NewReader(store, m)
	const turn = max(leastTurn, (streams+labels)/sampledAReading+1)
	for reading := range turn {
		if n := readAll(t, r, store, 1); n > sampledAReading+labels {
			t.Fatalf("reading %d measured %d streams", reading, n)
		}
	}
	readAll(t, r, store, 1) // the last of the turn may have come after its choice
	for i := range labels {
		wantValue(t, m, fmt.Sprintf(`streamkeeper_stream_bytes{stream="large%d"}`, i), 20<<20)
	}
	wantValue(t, m, `streamkeeper_stream_bytes{stream="_other"}`, 100*1000*streams)
	if n := len(m.sizes.known); n != streams+labels {
		t.Errorf("%d sizes are known", n)
	}

	// A stream whose entries grow gets a label by the end of the next turn, and those
	// that are gone are forgotten by then.
	store.each["small7"] = 1 << 20
	readAll(t, r, store, 2*turn+1)
	wantValue(t, m, `streamkeeper_stream_bytes{stream="small7"}`, 1000<<20)
	for name := range store.lengths {
		if name > "small3" {
			delete(store.lengths, name)
		}
	}
	readAll(t, r, store, 2*turn+1)
	if got, want := len(m.sizes.known), len(store.lengths); got != want {
		t.Errorf("%d sizes are known of %d streams", got, want)
	}
}

// A reading measures less where streams hold much.
func TestAReadingMeasuresSoManyBytes(t *testing.T) {
	m := newMetrics(0)
	m.Leader(true)
	store := fakeStore{lengths: make(map[string]int64), each: make(map[string]int64), measured: make(map[string]int)}
	for i := range 2000 {
		name := fmt.Sprint("s", i)
		store.lengths[name], store.each[name] = 1000, sampledBytes/100/1000
	}
	r := NewReader(store, m)
	for range 10 {
		if n := readAll(t, r, store, 1); n < 100 || n > 100+sampledTogether {
			t.Errorf("measured %d streams, each of a hundredth of what a reading may measure", n)
		}
	}
}

// What was measured holds for some readings; a new stream is measured at once.
func TestOneThatWasMeasuredIsNotMeasuredInEachReading(t *testing.T) {
	m := newMetrics(1)
	m.Leader(true)
	store := fakeStore{lengths: map[string]int64{"a": 9, "b": 1, "c": 1}, measured: make(map[string]int)}
	r := NewReader(store, m)
	if n := readAll(t, r, store, 1); n != 4 {
		t.Errorf("the first reading measured %d times, want the three and the one with a label again", n)
	}
	if n := readAll(t, r, store, 5); n != 5 {
		t.Errorf("five readings measured %d times, want the one with a label alone", n)
	}
	store.lengths["d"] = 1
	if n := readAll(t, r, store, 1); n != 2 {
		t.Errorf("a reading measured %d times, want the new stream too", n)
	}
}

// The first reading already knows the largest, by memory, and so does one that has
// the lengths of a trimming run.
func TestAFewLargeMessagesOutweighManySmallOnes(t *testing.T) {
	redistest.EachVersion(t, func(t *testing.T, start redistest.StartFunc) {
		server := start(t)
		ctx := t.Context()
		pipe := server.Client.Pipeline()
		add := func(name string, entries, bytes int) {
			pipe.SAdd(ctx, "streams", name)
			for range entries {
				pipe.XAdd(ctx, &redis.XAddArgs{Stream: "stream:" + name, Values: []any{"data", strings.Repeat("x", bytes)}})
			}
		}
		add("few large", 20, 100_000)
		add("many small", 2000, 20)
		if _, err := pipe.Exec(ctx); err != nil {
			t.Fatal(err)
		}
		m := newMetrics(1)
		m.Leader(true)
		r := NewReader(openBuffer(t, server), m)
		largest := func() string {
			t.Helper()
			if err := r.Read(ctx); err != nil {
				t.Fatal(err)
			}
			return m.Snapshot().Chosen[0].Label
		}
		if got := largest(); got != "few large" {
			t.Errorf("at first the label is of %q", got)
		}
		if s := m.Snapshot(); s.Chosen[0].Bytes < 2_000_000 || s.OtherBytes < 20*2000 || s.OtherBytes > 1_000_000 {
			t.Errorf("%d bytes, and %d of the others", s.Chosen[0].Bytes, s.OtherBytes)
		}
		l := m.NewLengths()
		l.Add("few large", 1, nil)
		l.Add("many small", 20_000, nil)
		l.Use()
		if got := largest(); got != "many small" {
			t.Errorf("by the lengths of a run the label is of %q", got)
		}
	})
}
