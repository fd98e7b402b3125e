package metrics

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"go.uber.org/goleak"

	"github.com/streamkeeper/streamkeeper/buffer"
	"github.com/streamkeeper/streamkeeper/internal/redistest"
	"github.com/streamkeeper/streamkeeper/trim"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func openBuffer(t *testing.T, s *redistest.Server) *buffer.Buffer {
	t.Helper()
	b, err := buffer.Open(t.Context(), buffer.Options{Connection: buffer.Connection{URL: s.URL()}, ReadOnly: true})
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
	if calls["xlen"] != streams+3 || calls["xinfo|stream"] != 2 {
		t.Errorf("calls %v, want one XLEN for each of %d streams and XINFO STREAM for the 2 longest", calls, streams+3)
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
	now     error
	lost    error
	asked   *int // how many lengths were asked for; nil if nobody counts
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
	if s.asked != nil {
		*s.asked += len(names)
	}
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

func TestClocksThatDisagreeDoNotStopAReading(t *testing.T) {
	m := newMetrics(3)
	m.Leader(true)
	if err := NewReader(fakeStore{lengths: map[string]int64{"a": 1}, now: buffer.ErrClock}, m).Read(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantValue(t, m, `streamkeeper_stream_entries{stream="a"}`, 1)
}

// TestAReadingOfWhatGrowsShowsWhatOneOfAllWould compares readings that follow
// what grows with readings of all streams, while the growing ones change.
func TestAReadingOfWhatGrowsShowsWhatOneOfAllWould(t *testing.T) {
	rng := rand.New(rand.NewPCG(4, 7))
	store := fakeStore{lengths: make(map[string]int64), asked: new(int)}
	growing := trim.Growing{Since: testNow}
	for i := range 200 {
		name := fmt.Sprintf("s%03d", i)
		store.lengths[name] = rng.Int64N(50)
		if i%20 == 0 {
			growing.Streams = append(growing.Streams, name)
		}
	}
	for i := range 5 {
		store.lengths[fmt.Sprint("long", i)] = 1000
	}
	m, all := newMetrics(5), newMetrics(5)
	m.Leader(true)
	all.Leader(true)
	reader := NewReader(store, m)
	reader.Follow(func() trim.Growing { return growing })
	for n := range 20 {
		*store.asked = 0
		if err := reader.Read(t.Context()); err != nil {
			t.Fatal(err)
		}
		// Every fourth time all were visited anew, and so they may have changed.
		want := len(growing.Streams) + 5
		if n%4 == 0 {
			want = len(store.lengths)
		}
		if *store.asked != want {
			t.Errorf("reading %d asked for %d lengths, want %d", n, *store.asked, want)
		}
		if err := NewReader(store, all).Read(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got, want := values(t, m), values(t, all); !maps.Equal(got, want) {
			t.Fatalf("reading %d: %v, a reading of all %v", n, got, want)
		}
		for _, name := range growing.Streams {
			store.lengths[name] = max(0, store.lengths[name]+rng.Int64N(100)-40)
		}
		if n%4 == 3 {
			growing.Since = growing.Since.Add(time.Minute)
			store.lengths[fmt.Sprint("new", n)] = rng.Int64N(50)
			delete(store.lengths, "s001")
			store.lengths["s002"]++
		}
	}
}

func TestAStreamThatBecomesMuchShorterLosesItsLabel(t *testing.T) {
	store := fakeStore{lengths: map[string]int64{"long": 1000, "mid": 500, "short": 1}}
	m := newMetrics(1)
	m.Leader(true)
	reader := NewReader(store, m)
	reader.Follow(func() trim.Growing { return trim.Growing{Since: testNow} })
	for _, c := range []struct {
		long  int64
		label string
		other float64
	}{
		{1000, "long", 501},
		{400, "long", 501}, // not worth a walk
		{10, "mid", 11},
	} {
		store.lengths["long"] = c.long
		if err := reader.Read(t.Context()); err != nil {
			t.Fatal(err)
		}
		wantValue(t, m, `streamkeeper_stream_entries{stream="`+c.label+`"}`, float64(store.lengths[c.label]))
		wantValue(t, m, `streamkeeper_stream_entries{stream="_other"}`, c.other)
	}
}

func TestAReadingOfAllComesOnceInAWhile(t *testing.T) {
	store := fakeStore{lengths: map[string]int64{"a": 1, "b": 2, "c": 3}, asked: new(int)}
	now := testNow
	m := New(Options{MaxStreams: 1, Now: func() time.Time { return now }})
	m.Leader(true)
	reader := NewReader(store, m)
	growing := trim.Growing{Since: testNow}
	reader.Follow(func() trim.Growing { return growing })
	for _, c := range []struct {
		what  string
		after time.Duration
		asked int
	}{
		{"the first", 0, 3},
		{"soon after", time.Minute, 1},
		{"when whoever follows them has stood still for long", trim.DefaultVisitAll, 3},
		{"soon after that", time.Minute, 1},
	} {
		*store.asked = 0
		now = now.Add(c.after)
		if err := reader.Read(t.Context()); err != nil {
			t.Fatal(err)
		}
		if *store.asked != c.asked {
			t.Errorf("%s: asked for %d lengths, want %d", c.what, *store.asked, c.asked)
		}
	}
	growing = trim.Growing{}
	*store.asked = 0
	if err := reader.Read(t.Context()); err != nil || *store.asked != 3 {
		t.Errorf("nobody knows: asked for %d lengths, %v; want 3", *store.asked, err)
	}
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
