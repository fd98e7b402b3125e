package metrics

import (
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

func TestAReadingLearnsLengthsOfAllAndIDsOfTheLongest(t *testing.T) {
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
			pipe.XAdd(ctx, &redis.XAddArgs{Stream: "stream:" + name, Values: []any{"data", "x"}, ID: fmt.Sprintf("%d-0", n+1)})
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
	if calls["xlen"] != streams+3+2 || calls["xinfo|stream"] != 2 || calls["memory|usage"] != 2 {
		t.Errorf("calls %v, want one XLEN for each of %d streams, and XINFO STREAM, MEMORY USAGE and another XLEN for the 2 longest", calls, streams+3)
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
	// estimated counts estimates, and is nil where Redis can count.
	estimated map[string]int
	now       error
	lost      error
}

func (s fakeStore) Now(context.Context) (time.Time, error) { return testNow, s.now }

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
		all = append(all, buffer.EntryMemory{Length: s.lengths[name], Bytes: 100 * s.lengths[name], Uncounted: s.estimated != nil})
	}
	return all, nil
}

func (s fakeStore) EstimateEntryMemory(_ context.Context, name string, _ buffer.EntryMemory) (buffer.EntryMemory, error) {
	s.estimated[name]++
	return buffer.EntryMemory{Length: s.lengths[name], Bytes: 1000, Estimated: true}, nil
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
		if want := estimatedAReading * (reading + 1); total != want {
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

func TestClocksThatDisagreeDoNotStopAReading(t *testing.T) {
	m := newMetrics(3)
	m.Leader(true)
	if err := NewReader(fakeStore{lengths: map[string]int64{"a": 1}, now: redisconn.ErrClock}, m).Read(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantValue(t, m, `streamkeeper_stream_entries{stream="a"}`, 1)
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
