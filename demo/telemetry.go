package demo

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/streamkeeper/streamkeeper/burst"
	"github.com/streamkeeper/streamkeeper/burst/pb"
)

// Interval is the time that one burst spans: the documentation's 10 Hz.
const Interval = 100 * time.Millisecond

// Rates within a burst.
const (
	periodicSamples = 100 // of each channel: 1 kHz
	rows            = 5
	rowChannels     = 12
)

// telemetry makes the bursts of one session. The same seed and times give the
// same bytes.
type telemetry struct {
	role    Role
	start   time.Time
	car     car
	rand    *rand.Rand
	sensors []sensor
}

// sensor is one of the many slow signals that fill a burst.
type sensor struct{ level, phase, hertz float64 }

func newTelemetry(role Role, seed uint64, start time.Time) *telemetry {
	t := &telemetry{role: role, start: start, rand: rand.New(rand.NewPCG(seed, seed))}
	t.car.phase = 2 * math.Pi * t.rand.Float64()
	for range role.Size / (4 * periodicSamples) {
		t.sensors = append(t.sensors, sensor{400 * t.rand.Float64(), 2 * math.Pi * t.rand.Float64(), 0.1 + 2*t.rand.Float64()})
	}
	return t
}

// message is the data field of the message that a producer writes at now. One
// that announces carries the Session JSON and the time range too.
func (t *telemetry) message(now time.Time, announce bool) ([]byte, error) {
	raw, err := proto.Marshal(t.burst(now, announce))
	if err != nil {
		return nil, fmt.Errorf("serializing a burst of %q: %w", t.role.Name, err)
	}
	return burst.Pack(t.role.Encoding, nil, raw)
}

// burst is what happened in the Interval before now, and as many sensors as
// make the role's size.
func (t *telemetry) burst(now time.Time, announce bool) *pb.StreamDataBurst {
	from := now.Add(-Interval)
	var b pb.StreamDataBurst
	size := 0
	add := func(d *pb.StreamData) {
		b.Data = append(b.Data, d)
		size += proto.Size(d) + 3 // its tag and length
	}
	if announce {
		add(&pb.StreamData{Data: &pb.StreamData_SessionJson{SessionJson: t.sessionJSON(now)}})
		add(&pb.StreamData{Data: &pb.StreamData_TimeRange{TimeRange: &pb.StreamTimeRange{
			StartTime: t.start.UnixNano(), EndTime: now.UnixNano(),
		}}})
	}
	for _, c := range channels() {
		add(t.periodic(c.id, from, func(at time.Duration) float64 { return quantize(c.value(t.car.at(at)), c.step) }))
	}
	for i := range rows {
		add(t.row(from.Add(time.Duration(i) * Interval / rows)))
	}
	add(t.distance(from))
	if e := t.shift(from, now); e != nil {
		add(e)
	}
	for i, s := range t.sensors {
		if size >= t.role.Size {
			break
		}
		add(t.periodic(uint32(firstSensor+i), from, func(at time.Duration) float64 {
			// A 12-bit converter's view of 0 to 5 V, with its noise.
			raw := 2048 + s.level*math.Sin(s.phase+2*math.Pi*s.hertz*at.Seconds()) + 2*t.rand.Float64()
			return math.Round(raw) * 5 / 4096
		}))
	}
	return &b
}

// sessionJSON is the session as the REST API would describe it.
func (t *telemetry) sessionJSON(now time.Time) string {
	text, err := json.Marshal(map[string]any{
		"identity":   t.role.Name,
		"state":      "open",
		"timestamp":  t.start.UTC().Format(time.RFC3339Nano),
		"identifier": t.role.Name + t.start.UTC().Format(" 2006-01-02 15:04"),
		"timeRange":  map[string]int64{"startTime": t.start.UnixNano(), "endTime": now.UnixNano()},
		"details":    map[string]any{"generator": "streamkeeper demo", "encoding": t.role.Encoding.String()},
	})
	if err != nil {
		panic(err) // strings and numbers only
	}
	return string(text)
}

// periodic is one channel at 1 kHz in float32.
func (t *telemetry) periodic(id uint32, from time.Time, value func(time.Duration) float64) *pb.StreamData {
	const step = Interval / periodicSamples
	buffer := make([]byte, 0, 4*periodicSamples)
	for i := range periodicSamples {
		at := from.Sub(t.start) + time.Duration(i)*step
		buffer = binary.LittleEndian.AppendUint32(buffer, math.Float32bits(float32(value(at))))
	}
	return &pb.StreamData{Data: &pb.StreamData_PeriodicData{PeriodicData: &pb.PeriodicData{
		ChannelId: id, StartTimestamp: from.UnixNano(), Interval: step.Nanoseconds(), Samples: periodicSamples, Buffer: buffer,
	}}}
}

// row is one instant of several slow channels, tyre temperatures say, in tenths.
func (t *telemetry) row(at time.Time) *pb.StreamData {
	row := &pb.RowData{Timestamp: at.UnixNano()}
	for i := range rowChannels {
		row.ChannelIds = append(row.ChannelIds, uint32(firstSensor-rowChannels+i))
		tenths := 900 + 150*math.Sin(at.Sub(t.start).Seconds()/30+float64(i))
		row.Buffer = binary.LittleEndian.AppendUint16(row.Buffer, uint16(tenths))
	}
	return &pb.StreamData{Data: &pb.StreamData_RowData{RowData: row}}
}

// distance is the way driven, in doubles, at the odd times of a receiver.
func (t *telemetry) distance(from time.Time) *pb.StreamData {
	data := &pb.TimestampedData{ChannelId: channelDistance, StartTimestamp: from.UnixNano(), TimestampDeltasScale: 1000}
	var passed time.Duration
	for passed < Interval {
		var delta time.Duration
		if len(data.TimestampDeltas) > 0 {
			delta = time.Duration(19_000+t.rand.IntN(2000)) * time.Microsecond
			passed += delta
		}
		at := from.Sub(t.start) + passed
		meters := at.Seconds() * t.car.at(at).speed / 3.6
		data.TimestampDeltas = append(data.TimestampDeltas, delta.Microseconds())
		data.Buffer = binary.LittleEndian.AppendUint64(data.Buffer, math.Float64bits(quantize(meters, 0.125)))
	}
	return &pb.StreamData{Data: &pb.StreamData_TimestampedData{TimestampedData: data}}
}

// shift is the change of gear within the burst, nil if there was none.
func (t *telemetry) shift(from, to time.Time) *pb.StreamData {
	before, after := t.car.at(from.Sub(t.start)), t.car.at(to.Sub(t.start))
	if before.gear == after.gear {
		return nil
	}
	return &pb.StreamData{Data: &pb.StreamData_Event{Event: &pb.Event{
		EventDefinitionId: channelGear, AppName: "gearbox", Timestamp: to.UnixNano(),
		StatusText: fmt.Sprintf("gear %d to %d", before.gear, after.gear),
		RawData:    []float64{float64(before.gear), float64(after.gear), math.Round(after.rpm)},
	}}}
}
