package burst

import (
	"bytes"
	"encoding/json"
	"math"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/streamkeeper/streamkeeper/burst/pb"
	"github.com/streamkeeper/streamkeeper/internal/corpus"
	"github.com/streamkeeper/streamkeeper/internal/golden"
)

func TestDecodingShowsWhatABurstHolds(t *testing.T) {
	const start = 1_700_000_000_123_456_789
	samples := bytes.Repeat([]byte{1, 2, 3, 4}, 16)
	burst, err := proto.Marshal(&pb.StreamDataBurst{Data: []*pb.StreamData{
		{Data: &pb.StreamData_SessionJson{SessionJson: `{"identity": "a <b>", "state": "open", "laps": [1e0, null]}`}},
		{Data: &pb.StreamData_TimeRange{TimeRange: &pb.StreamTimeRange{StartTime: start, EndTime: start + 1e9}}},
		{Data: &pb.StreamData_TimestampedData{TimestampedData: &pb.TimestampedData{
			ChannelId: 7, StartTimestamp: start, TimestampDeltasScale: 1000, TimestampDeltas: []int64{0, 5, 10, 5}, Buffer: samples,
		}}},
		{Data: &pb.StreamData_PeriodicData{PeriodicData: &pb.PeriodicData{
			ChannelId: 8, StartTimestamp: start, Interval: 1_000_000, Samples: 16, Buffer: samples,
		}}},
		{Data: &pb.StreamData_PeriodicData{PeriodicData: &pb.PeriodicData{Samples: 3, Buffer: samples[:4]}}},
		{Data: &pb.StreamData_RowData{RowData: &pb.RowData{ChannelIds: []uint32{1, 2}, Timestamp: start, Buffer: samples[:6]}}},
		{Data: &pb.StreamData_RowData{RowData: &pb.RowData{}}},
		{Data: &pb.StreamData_Event{Event: &pb.Event{
			EventDefinitionId: -1, AppName: "app", Timestamp: math.MinInt64, StatusText: "Überrev",
			RawData: []float64{1.5, math.NaN(), math.Inf(1), math.Inf(-1)},
		}}},
		{},
	}})
	if err != nil {
		t.Fatal(err)
	}
	burst = append(burst, streamData(field(3, field(77, "new")), field(9, uint64(1)), field(9, uint64(2)))...)
	burst = append(burst, field(15, "new")...)
	data, err := Pack(Wrap, nil, burst)
	if err != nil {
		t.Fatal(err)
	}

	var c Checker
	result, content := c.Decode(data, Auto)
	if result != c.Check(data, Auto) || result.Verdict != Warn {
		t.Errorf("%+v, the check says %+v", result, c.Check(data, Auto))
	}
	var got bytes.Buffer
	out := json.NewEncoder(&got)
	out.SetEscapeHTML(false)
	out.SetIndent("", "  ")
	if err := out.Encode(content); err != nil {
		t.Fatal(err)
	}
	golden.Compare(t, "testdata/content.json", got.String())
}

func TestAnInvalidMessageHasNoContent(t *testing.T) {
	var c Checker
	if result, content := c.Decode([]byte("not a message"), Auto); result.Verdict != Invalid || content != nil {
		t.Errorf("%s with %v", result.Verdict, content)
	}
}

func TestEveryMessageOfTheCorpusIsDecoded(t *testing.T) {
	var c Checker
	for _, m := range corpus.Read[message](t, corpus.Bursts) {
		result, content := c.Decode(m.Data, Auto)
		if result.Verdict == Invalid {
			continue
		}
		kinds := map[string]int{}
		for _, d := range content.Data {
			if d.Kind != "" {
				kinds[d.Kind]++
			}
		}
		for kind, n := range result.KindCounts() {
			if kinds[kind.String()] != n {
				t.Errorf("%s: %d %s decoded, %d counted", m.Name, kinds[kind.String()], kind, n)
			}
		}
		if _, err := json.Marshal(content); err != nil || content.Omitted != 0 {
			t.Errorf("%s: %d omitted, %v", m.Name, content.Omitted, err)
		}
	}
}

func TestOfAHugeBurstTheBeginningIsDecoded(t *testing.T) {
	for _, test := range []struct {
		name  string
		burst []byte
		shown int
		omits bool
	}{
		{"of very many StreamData", bytes.Repeat([]byte{0x0a, 0}, 4<<20), decodedItems, true},
		{"of one with very many deltas", streamData(field(4, parts(field(4, make([]byte, 6<<20)), field(5, make([]byte, 6<<20))))), 0, true},
		{"of very many fields that nobody knows", append(bytes.Repeat(field(2, uint64(1)), 3<<20), streamData()...), 1, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			data, err := Pack(Block, nil, test.burst)
			if err != nil {
				t.Fatal(err)
			}
			var c Checker
			var content *Content
			n := allocated(func() { _, content = c.Decode(data, Auto) })
			if len(content.Data) != test.shown || test.omits != (content.Omitted > 0) {
				t.Errorf("%d shown, %d omitted", len(content.Data), content.Omitted)
			}
			if n > 64<<20 {
				t.Errorf("%d MiB allocated", n>>20)
			}
		})
	}
}
