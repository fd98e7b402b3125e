package burst

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"

	"google.golang.org/protobuf/proto"

	"github.com/streamkeeper/streamkeeper/burst/pb"
)

// telemetry makes bursts as a vehicle's ingest process would: slow and fast
// signals with the noise of their converters, rows of counters, events, a time
// range and now and then the Session JSON.
type telemetry struct {
	rand *rand.Rand
	now  int64 // ns
}

func newTelemetry(seed uint64) *telemetry {
	return &telemetry{rand: rand.New(rand.NewPCG(seed, seed)), now: 1_700_000_000_000_000_000}
}

// burst returns a burst of at least size bytes, serialized.
func (t *telemetry) burst(size int) []byte {
	var b pb.StreamDataBurst
	add := func(d *pb.StreamData) {
		b.Data = append(b.Data, d)
		size -= proto.Size(d)
	}
	add(t.sessionJSON())
	for size > 0 {
		add(t.timeRange())
		for range 6 {
			add(t.periodic(100 + t.rand.IntN(300)))
			add(t.timestamped(20 + t.rand.IntN(80)))
		}
		for range 4 {
			add(t.row(8 + t.rand.IntN(32)))
		}
		add(t.event())
		t.now += 100_000_000
	}
	data, err := proto.Marshal(&b)
	if err != nil {
		panic(err)
	}
	return data
}

func (t *telemetry) sessionJSON() *pb.StreamData {
	json := fmt.Sprintf(`{"identity": "%016x%016x", "state": "open", "timestamp": "2026-05-06T18:58:56.20289+01:00", `+
		`"identifier": "Run %d", "timeRange": {"startTime": %d, "endTime": %d}, "details": {"Lab": "A", "Run": %d, "Driver": null}, `+
		`"configBindings": [{"identifier": "%032x", "channelOffset": 0}]}`,
		t.rand.Uint64(), t.rand.Uint64(), t.rand.IntN(1000), t.now, t.now+1e9, t.rand.IntN(100), t.rand.Uint64())
	return &pb.StreamData{Data: &pb.StreamData_SessionJson{SessionJson: json}}
}

func (t *telemetry) timeRange() *pb.StreamData {
	return &pb.StreamData{Data: &pb.StreamData_TimeRange{TimeRange: &pb.StreamTimeRange{StartTime: t.now - 60e9, EndTime: t.now}}}
}

// periodic is a 12-bit converter's view of a slow wave, scaled to float32.
func (t *telemetry) periodic(n int) *pb.StreamData {
	phase, level := t.rand.Float64(), 40*t.rand.Float64()
	buffer := make([]byte, 0, 4*n)
	for i := range n {
		v := math.Round(2048+level*math.Sin(phase+float64(i)/40)+t.rand.Float64()*2) / 4096 * 5
		buffer = binary.LittleEndian.AppendUint32(buffer, math.Float32bits(float32(v)))
	}
	return &pb.StreamData{Data: &pb.StreamData_PeriodicData{PeriodicData: &pb.PeriodicData{
		ChannelId: uint32(t.rand.IntN(5000)), StartTimestamp: t.now, Interval: 1_000_000, Samples: int32(n), Buffer: buffer,
	}}}
}

// timestamped is a value that changes by steps, in doubles, at odd times.
func (t *telemetry) timestamped(n int) *pb.StreamData {
	deltas, buffer := []int64{0}, make([]byte, 0, 8*n)
	v := float64(t.rand.IntN(300))
	for i := range n {
		if i > 0 {
			deltas = append(deltas, 900+t.rand.Int64N(200))
		}
		v += float64(t.rand.IntN(3)-1) / 8
		buffer = binary.LittleEndian.AppendUint64(buffer, math.Float64bits(v))
	}
	return &pb.StreamData{Data: &pb.StreamData_TimestampedData{TimestampedData: &pb.TimestampedData{
		ChannelId: uint32(t.rand.IntN(5000)), StartTimestamp: t.now, TimestampDeltasScale: 1000, TimestampDeltas: deltas, Buffer: buffer,
	}}}
}

func (t *telemetry) row(n int) *pb.StreamData {
	var ids []uint32
	var buffer []byte
	first := t.rand.Uint32N(5000)
	for i := range n {
		ids = append(ids, first+uint32(i))
		buffer = binary.LittleEndian.AppendUint16(buffer, uint16(1000+t.rand.IntN(16)))
	}
	return &pb.StreamData{Data: &pb.StreamData_RowData{RowData: &pb.RowData{ChannelIds: ids, Timestamp: t.now, Buffer: buffer}}}
}

func (t *telemetry) event() *pb.StreamData {
	return &pb.StreamData{Data: &pb.StreamData_Event{Event: &pb.Event{
		EventDefinitionId: t.rand.Int32N(1000), AppName: "chassis", Timestamp: t.now, StatusText: "Überrev, gear change aborted",
		RawData: []float64{t.rand.Float64(), float64(t.rand.IntN(8)), 0},
	}}}
}

// fill makes noise, which does not compress.
func (t *telemetry) fill(b []byte) {
	for i := range b {
		b[i] = byte(t.rand.Uint32())
	}
}
