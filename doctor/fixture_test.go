package doctor

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"google.golang.org/protobuf/proto"

	"github.com/streamkeeper/streamkeeper/buffer"
	"github.com/streamkeeper/streamkeeper/buffer/registry"
	"github.com/streamkeeper/streamkeeper/burst"
	"github.com/streamkeeper/streamkeeper/burst/pb"
	"github.com/streamkeeper/streamkeeper/cleanup"
	"github.com/streamkeeper/streamkeeper/internal/redisconn"
	"github.com/streamkeeper/streamkeeper/internal/redistest"
	"github.com/streamkeeper/streamkeeper/trim"
)

// fixture is a buffer on a server of the test's own, as the protocol wants it, and
// the settings it is examined with. A case breaks one thing of it.
type fixture struct {
	t      *testing.T
	starts redistest.StartFunc
	server *redistest.Server
	rdb    *redis.Client
	layout registry.Layout
	now    time.Time
	buffer buffer.Options
	doctor Options
	// entries were appended.
	entries int
	// lasting: fields of the Hash do not expire.
	lasting bool
}

// properServer are the arguments of a server that has what it should.
func properServer() []string {
	return []string{"--maxmemory", "1gb", "--maxmemory-policy", "noeviction"}
}

func newFixture(t *testing.T, layout registry.Layout, args ...string) *fixture {
	t.Helper()
	return newFixtureOn(t, redistest.Start, layout, args...)
}

// newFixtureOn is [newFixture] on a server of another version.
func newFixtureOn(t *testing.T, start redistest.StartFunc, layout registry.Layout, args ...string) *fixture {
	t.Helper()
	if args == nil {
		args = properServer()
	}
	f := &fixture{t: t, starts: start, server: start(t, args...), layout: layout}
	f.rdb = f.server.Client
	f.now = must(f.rdb.Time(f.ctx()).Result())
	f.buffer = buffer.Options{Connection: redisconn.Connection{URL: f.server.URL()}, ReadOnly: true}
	f.doctor = Options{
		Uses:          buffer.Uses{Job: true, Trim: true, Cleanup: true, Inspect: true, Serve: true, Names: buffer.DefaultNames},
		Policies:      trim.Policies{Default: trim.Policy{MaxLength: trim.DefaultMaxLength}},
		HistoryLength: buffer.DefaultHistoryLength,
		Limits:        cleanup.Limits{ExpireAfter: cleanup.DefaultExpireAfter, RetireAfter: cleanup.DefaultRetireAfter},
	}
	return f
}

// counts reports whether the server knows how many entries have gone.
func (f *fixture) counts() bool {
	f.t.Helper()
	info := must(f.rdb.InfoMap(f.ctx(), "server").Result())
	return !strings.HasPrefix(info["Server"]["redis_version"], "6.")
}

func (f *fixture) ctx() context.Context { return f.t.Context() }

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

// do sends commands as a producer does.
func (f *fixture) do(args ...any) {
	f.t.Helper()
	if err := f.rdb.Do(f.ctx(), args...).Err(); err != nil {
		f.t.Fatalf("%v: %v", args, err)
	}
}

// proper seeds two sessions on a stream each, one of which has ended.
func (f *fixture) proper() *fixture {
	f.t.Helper()
	f.do("SET", buffer.CounterKey, 2)
	for i, state := range []string{"open", "closed"} {
		id, stream := i+1, fmt.Sprintf("car-%d", i+1)
		identity := fmt.Sprintf("car %d: race", id)
		f.list(stream)
		f.messages(stream, identity, state, id, f.now)
		f.entry(identity, stream, state, id, nil)
	}
	return f
}

func (f *fixture) list(streams ...string) {
	f.t.Helper()
	for _, stream := range streams {
		f.do("SADD", "streams", stream)
	}
}

// spacing is the time between two messages.
const spacing = 100 * time.Millisecond

// messages appends the messages of a session: one five minutes before an end, and
// twenty up to it.
func (f *fixture) messages(stream, identity, state string, id int, end time.Time) {
	f.t.Helper()
	pipe := f.rdb.Pipeline()
	add := func(at time.Time, payload []byte) {
		pipe.Do(f.ctx(), f.adding(stream, at, "id", id, "data", payload)...)
	}
	add(end.Add(-5*time.Minute), f.payload(identity, "open", end.Add(-5*time.Minute), true))
	for n := 19; n >= 0; n-- {
		at := end.Add(-time.Duration(n) * spacing)
		add(at, f.payload(identity, state, at, n == 0))
	}
	must(pipe.Exec(f.ctx()))
}

// append adds one entry with an id of that time.
func (f *fixture) append(stream string, at time.Time, fields ...any) {
	f.t.Helper()
	f.do(f.adding(stream, at, fields...)...)
}

// adding is the command that does.
func (f *fixture) adding(stream string, at time.Time, fields ...any) []any {
	f.entries++
	return append([]any{"XADD", "stream:" + stream, fmt.Sprintf("%d-%d", at.UnixMilli(), f.entries)}, fields...)
}

// start is that of the data of each session.
func (f *fixture) start() time.Time { return f.now.Add(-10 * time.Minute) }

// payload is a burst of some 16 KiB, with the session and its time range if it
// announces.
func (f *fixture) payload(identity, state string, at time.Time, announces bool) []byte {
	f.t.Helper()
	var b pb.StreamDataBurst
	if announces {
		b.Data = append(b.Data, f.sessionData(identity, state), rangeData(at.Add(-10*time.Minute), at.Add(spacing)))
	}
	for channel := range 40 {
		b.Data = append(b.Data, periodicData(uint32(channel), at, spacing))
	}
	return f.pack(&b)
}

// noise is a burst of so many bytes that no compression makes shorter.
func (f *fixture) noise(at time.Time, bytes int) []byte {
	f.t.Helper()
	samples := make([]byte, bytes)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(samples)
	return f.pack(&pb.StreamDataBurst{Data: []*pb.StreamData{{Data: &pb.StreamData_PeriodicData{PeriodicData: &pb.PeriodicData{
		ChannelId: 99, StartTimestamp: at.UnixNano(), Interval: 100, Samples: int32(bytes / 4), Buffer: samples,
	}}}}})
}

func (f *fixture) pack(b *pb.StreamDataBurst) []byte {
	f.t.Helper()
	return must(burst.Pack(burst.Frame, nil, must(proto.Marshal(b))))
}

func (f *fixture) sessionData(identity, state string) *pb.StreamData {
	return &pb.StreamData{Data: &pb.StreamData_SessionJson{SessionJson: sessionText(identity, state)}}
}

func sessionText(identity, state string) string {
	return string(must(json.Marshal(map[string]any{"identity": identity, "state": state})))
}

func rangeData(from, to time.Time) *pb.StreamData {
	return &pb.StreamData{Data: &pb.StreamData_TimeRange{TimeRange: &pb.StreamTimeRange{StartTime: from.UnixNano(), EndTime: to.UnixNano()}}}
}

func periodicData(channel uint32, at time.Time, span time.Duration) *pb.StreamData {
	const samples = 100
	return &pb.StreamData{Data: &pb.StreamData_PeriodicData{PeriodicData: &pb.PeriodicData{
		ChannelId: channel, StartTimestamp: at.UnixNano(), Interval: span.Nanoseconds() / samples, Samples: samples, Buffer: make([]byte, 4*samples),
	}}}
}

// entry writes a session as producers of the layout do; changes replace fields,
// nil takes one out.
func (f *fixture) entry(identity, stream, state string, id any, changes map[string]any) {
	f.t.Helper()
	fields := map[string]any{
		"streamSessionId": id, "streamName": stream, "streamPosition": "0-0", "lastUpdated": f.now.UnixMilli(),
		"json": sessionText(identity, state), "tStart": f.start().UnixNano(), "tEnd": f.now.Add(spacing).UnixNano(),
	}
	maps.Copy(fields, changes)
	maps.DeleteFunc(fields, func(_ string, v any) bool { return v == nil })
	switch key := f.layout.KeyOf("sessions", identity); {
	case f.layout.HasOwnKey():
		f.do("DEL", key)
		for name, value := range fields {
			f.do("HSET", key, name, value)
		}
		f.do("EXPIRE", key, 86400)
	case f.layout == registry.Fields:
		for name, value := range fields {
			f.do("HSET", key, identity+":"+name, value)
			f.expireField(identity + ":" + name)
		}
	case f.layout == registry.Object:
		f.do("HSET", key, identity, must(json.Marshal(fields)))
		f.expireField(identity)
	}
}

// expireField has a field of the Hash expire, where the server can do that.
func (f *fixture) expireField(field string) {
	f.t.Helper()
	if f.lasting {
		return
	}
	err := f.rdb.Do(f.ctx(), "HEXPIRE", "sessions", 86400, "FIELDS", 1, field).Err()
	if err != nil && !strings.Contains(err.Error(), "unknown command") {
		f.t.Fatal(err)
	}
}

// again rewrites the entry of the first session with changes.
func (f *fixture) again(changes map[string]any) {
	f.t.Helper()
	f.entry("car 1: race", "car-1", "open", 1, changes)
}

func (f *fixture) newDoctor() *Doctor {
	f.t.Helper()
	b, err := buffer.Open(f.ctx(), f.buffer)
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(func() { _ = b.Close() })
	if f.doctor.Connection.URL == "" {
		f.doctor.Connection = f.buffer.Connection
	}
	return New(b, f.doctor)
}

// examine returns what is not ok.
func (f *fixture) examine() []Finding {
	f.t.Helper()
	r, err := f.newDoctor().Examine(f.ctx())
	if err != nil {
		f.t.Fatal(err)
	}
	return notOK(r)
}

func (f *fixture) examineSession(identity string) []Finding {
	f.t.Helper()
	r, err := f.newDoctor().ExamineSession(f.ctx(), identity)
	if err != nil {
		f.t.Fatal(err)
	}
	return notOK(r)
}

func notOK(r Report) (found []Finding) {
	for _, finding := range r.Findings {
		if finding.Severity != OK {
			found = append(found, finding)
		}
	}
	return found
}

// text is a finding as one line.
func text(f Finding) string {
	words := []string{string(f.Severity), f.Check, f.Text}
	for _, e := range f.Examples {
		words = append(words, "["+e.Name+": "+e.Detail+"]")
	}
	return strings.Join(words, " ")
}

func texts(findings []Finding) string {
	lines := make([]string, len(findings))
	for i, f := range findings {
		lines[i] = "\n  " + text(f)
	}
	return strings.Join(lines, "")
}
