package burst

import (
	"bytes"
	"math"
	"runtime"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/streamkeeper/streamkeeper/burst/pb"
)

// field is a field on the wire: bytes and strings with their length, uint64 as
// a varint, int64 as a fixed64, uint32 as a fixed32.
func field(number protowire.Number, value any) []byte {
	switch v := value.(type) {
	case string:
		return protowire.AppendString(protowire.AppendTag(nil, number, protowire.BytesType), v)
	case []byte:
		return protowire.AppendBytes(protowire.AppendTag(nil, number, protowire.BytesType), v)
	case uint64:
		return protowire.AppendVarint(protowire.AppendTag(nil, number, protowire.VarintType), v)
	case int64:
		return protowire.AppendFixed64(protowire.AppendTag(nil, number, protowire.Fixed64Type), uint64(v))
	case uint32:
		return protowire.AppendFixed32(protowire.AppendTag(nil, number, protowire.Fixed32Type), v)
	}
	panic("no such field")
}

// streamData is a burst of one StreamData with the given fields.
func streamData(fields ...any) []byte { return field(1, parts(fields...)) }

// overlong is a number in so many bytes.
func overlong(x uint64, size int) []byte {
	b := make([]byte, size)
	for i := range b {
		b[i] = byte(x) | 0x80
		x >>= 7
	}
	b[size-1] &= 0x7f
	return b
}

// groups is so many groups of field 9, each in the one before.
func groups(n int) []byte {
	return append(bytes.Repeat([]byte{0x4b}, n), bytes.Repeat([]byte{0x4c}, n)...)
}

const goodSession = `{"identity": "a", "state": "open"}`

func TestTheWalkOverABurst(t *testing.T) {
	timeRange := field(3, parts(field(1, int64(1)), field(2, int64(2))))
	tenBytes := parts(0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff)
	negative := uint64(math.MaxUint64)
	for _, test := range []struct {
		name  string
		burst []byte
		want  []Reason
		kinds [kindCount]int
	}{
		{"a time range", streamData(timeRange), nil, [kindCount]int{TimeRange: 1}},
		{"a time range of no length", streamData(field(3, field(2, int64(0)))), nil, [kindCount]int{TimeRange: 1}},
		{"a time range that is empty", streamData(field(3, "")), nil, [kindCount]int{TimeRange: 1}},
		{"a time range that is reversed", streamData(field(3, field(1, int64(1)))), []Reason{TimeRangeReversed}, [kindCount]int{TimeRange: 1}},
		{"a time range before the epoch", streamData(field(3, parts(field(1, int64(-5)), field(2, int64(-4))))), nil, [kindCount]int{TimeRange: 1}},
		{"a time range whose last start counts", streamData(field(3, parts(field(1, int64(9)), field(2, int64(2)), field(1, int64(1))))), nil, [kindCount]int{TimeRange: 1}},

		{"no bytes", nil, []Reason{NoStreamData}, [kindCount]int{}},
		{"an unknown field alone", field(2, "new"), []Reason{UnknownField, NoStreamData}, [kindCount]int{}},
		{"an empty StreamData", streamData(), []Reason{EmptyStreamData}, [kindCount]int{}},
		{"an unknown field in the burst", parts(streamData(timeRange), field(15, "new")), []Reason{UnknownField}, [kindCount]int{TimeRange: 1}},
		{"an unknown field in a StreamData", streamData(timeRange, field(8, uint64(1))), []Reason{UnknownField}, [kindCount]int{TimeRange: 1}},
		{"an unknown field alone in a StreamData", streamData(field(8, uint64(1))), []Reason{UnknownField}, [kindCount]int{}},
		{"the reserved field of a StreamData", streamData(field(1, "old"), timeRange), []Reason{UnknownField}, [kindCount]int{TimeRange: 1}},
		{"an unknown field in a member", streamData(field(3, parts(field(3, uint32(1)), field(2, int64(1))))), []Reason{UnknownField}, [kindCount]int{TimeRange: 1}},
		{"an unknown field with a number in two bytes", streamData(field(3, field(1000, int64(1)))), []Reason{UnknownField}, [kindCount]int{TimeRange: 1}},
		{"an unknown group", streamData(timeRange, protowire.AppendTag(nil, 9, protowire.StartGroupType), field(1, "x"), protowire.AppendTag(nil, 9, protowire.EndGroupType)), []Reason{UnknownField}, [kindCount]int{TimeRange: 1}},
		{"a group that is not ended", streamData(timeRange, protowire.AppendTag(nil, 9, protowire.StartGroupType)), []Reason{NotProtobuf}, [kindCount]int{TimeRange: 1}},
		{"the end of a group that was not begun", streamData(timeRange, protowire.AppendTag(nil, 9, protowire.EndGroupType)), []Reason{NotProtobuf}, [kindCount]int{TimeRange: 1}},

		{"two members", streamData(timeRange, field(2, goodSession)), []Reason{SeveralMembers}, [kindCount]int{SessionJSON: 1}},
		{"two members, of which the first would be wrong by itself", streamData(field(2, "not JSON"), timeRange), []Reason{SeveralMembers}, [kindCount]int{TimeRange: 1}},
		{"one member twice, which is merged", streamData(field(3, field(1, int64(1))), field(3, field(2, int64(2)))), []Reason{SeveralMembers}, [kindCount]int{TimeRange: 1}},
		{"one member twice with another between, which is not merged", streamData(field(3, field(2, int64(2))), field(2, ""), field(3, field(1, int64(1)))), []Reason{SeveralMembers, TimeRangeReversed}, [kindCount]int{TimeRange: 1}},

		{"StreamData as a varint", field(1, uint64(1)), []Reason{WrongWireType}, [kindCount]int{}},
		{"StreamData as a group", parts(0x0b, 0x0c), []Reason{WrongWireType}, [kindCount]int{}},
		{"Session JSON as a varint", streamData(field(2, uint64(5))), []Reason{WrongWireType}, [kindCount]int{}},
		{"a time as a varint", streamData(field(3, field(1, uint64(5)))), []Reason{WrongWireType}, [kindCount]int{}},
		{"a number as a fixed32", streamData(field(5, field(4, uint32(5)))), []Reason{WrongWireType}, [kindCount]int{}},
		{"a double as a varint", streamData(field(7, field(5, uint64(5)))), []Reason{WrongWireType}, [kindCount]int{}},

		{"field number 0", parts(streamData(timeRange), 0x02, 0), []Reason{NotProtobuf}, [kindCount]int{TimeRange: 1}},
		{"wire type 7", parts(streamData(timeRange), 0x7f, 0), []Reason{NotProtobuf}, [kindCount]int{TimeRange: 1}},
		{"a field number that is too large", parts(streamData(timeRange), 0x82, 0x80, 0x80, 0x80, 0x10, 0), []Reason{NotProtobuf}, [kindCount]int{TimeRange: 1}},
		{"a tag in more bytes than it needs", parts(0x8a, 0x00, protowire.AppendBytes(nil, timeRange)), nil, [kindCount]int{TimeRange: 1}},
		{"a tag in five bytes", parts(overlong(0x0a, 5), protowire.AppendBytes(nil, timeRange)), nil, [kindCount]int{TimeRange: 1}},
		{"a tag in six bytes", parts(overlong(0x0a, 6), protowire.AppendBytes(nil, timeRange)), []Reason{OverlongVarint}, [kindCount]int{TimeRange: 1}},
		{"a member's tag in ten bytes", streamData(parts(overlong(0x1a, 10), timeRange[1:])), []Reason{OverlongVarint}, [kindCount]int{TimeRange: 1}},
		{"a field's tag in six bytes", streamData(field(3, parts(overlong(0x11, 6), make([]byte, 8)))), []Reason{OverlongVarint}, [kindCount]int{TimeRange: 1}},
		{"an unknown field's tag in six bytes", streamData(timeRange, overlong(0x48, 6), 0), []Reason{UnknownField, OverlongVarint}, [kindCount]int{TimeRange: 1}},
		{"an unknown field's length in six bytes", streamData(timeRange, 0x4a, overlong(1, 6), 0), []Reason{UnknownField, OverlongVarint}, [kindCount]int{TimeRange: 1}},
		{"a length in five bytes", parts(0x0a, overlong(uint64(len(timeRange)), 5), timeRange), nil, [kindCount]int{TimeRange: 1}},
		{"a length in six bytes", parts(0x0a, overlong(uint64(len(timeRange)), 6), timeRange), []Reason{OverlongVarint}, [kindCount]int{TimeRange: 1}},
		{"a packed list's length in six bytes", streamData(field(4, parts(0x22, overlong(2, 6), 0, 1, field(5, "ab")))), []Reason{OverlongVarint}, [kindCount]int{TimestampedData: 1}},
		{"a number in ten bytes", streamData(field(4, parts(0x18, overlong(2, 10), field(4, parts(0, 5)), field(5, "ab")))), nil, [kindCount]int{TimestampedData: 1}},
		{"100 groups in a burst", parts(streamData(timeRange), groups(100)), []Reason{UnknownField}, [kindCount]int{TimeRange: 1}},
		{"101 groups in a burst", parts(streamData(timeRange), groups(101)), []Reason{NestedTooDeep}, [kindCount]int{TimeRange: 1}},
		{"99 groups in a StreamData", streamData(timeRange, groups(99)), []Reason{UnknownField}, [kindCount]int{TimeRange: 1}},
		{"100 groups in a StreamData", streamData(timeRange, groups(100)), []Reason{NestedTooDeep}, [kindCount]int{TimeRange: 1}},
		{"98 groups in a member", streamData(field(3, groups(98))), []Reason{UnknownField}, [kindCount]int{TimeRange: 1}},
		{"99 groups in a member", streamData(field(3, groups(99))), []Reason{NestedTooDeep}, [kindCount]int{}},
		{"a group that another one's end ends", streamData(timeRange, 0x4b, 0x54), []Reason{NotProtobuf}, [kindCount]int{TimeRange: 1}},
		{"a tag cut off", parts(streamData(timeRange), 0x8a), []Reason{NotProtobuf}, [kindCount]int{TimeRange: 1}},
		{"a length past the end", parts(0x0a, 5, 0), []Reason{NotProtobuf}, [kindCount]int{}},
		{"a length in two bytes past the end", parts(0x0a, 0x85, 0x01, 0), []Reason{NotProtobuf}, [kindCount]int{}},
		{"a length of almost 2 to the 64", parts(0x0a, tenBytes, 1), []Reason{NotProtobuf}, [kindCount]int{}},
		{"a member past the end of its StreamData", parts(0x0a, 2, 0x1a, 5, make([]byte, 20)), []Reason{NotProtobuf}, [kindCount]int{}},
		{"a number past the end of its message", parts(0x0a, 4, 0x2a, 2, 0x08, 0x80, 0x01, make([]byte, 20)), []Reason{NotProtobuf}, [kindCount]int{}},
		{"a time past the end of its message", streamData(field(3, parts(0x09, 1, 2, 3, 4, 5, 6, 7))), []Reason{NotProtobuf}, [kindCount]int{}},

		{"timestamped data", streamData(field(4, parts(field(1, uint64(1)), field(2, int64(1)), field(3, uint64(1)), field(4, parts(0, 5)), field(5, "abcd")))), nil, [kindCount]int{TimestampedData: 1}},
		{"timestamped data with deltas that are not packed", streamData(field(4, parts(field(4, uint64(0)), field(4, negative), field(5, "abcd")))), nil, [kindCount]int{TimestampedData: 1}},
		{"timestamped data with deltas both ways", streamData(field(4, parts(field(4, parts(0, 5)), field(4, uint64(1)), field(5, "abc")))), nil, [kindCount]int{TimestampedData: 1}},
		{"timestamped data with a negative delta", streamData(field(4, parts(field(4, parts(0, tenBytes, 1)), field(5, "ab")))), nil, [kindCount]int{TimestampedData: 1}},
		{"timestamped data whose first delta is a long 0", streamData(field(4, parts(field(4, parts(0x80, 0)), field(5, "ab")))), nil, [kindCount]int{TimestampedData: 1}},
		{"timestamped data whose first delta is not 0", streamData(field(4, parts(field(4, parts(1, 5)), field(5, "ab")))), []Reason{FirstDeltaNotZero}, [kindCount]int{TimestampedData: 1}},
		{"timestamped data whose first delta is not 0, not packed", streamData(field(4, parts(field(4, uint64(1)), field(4, uint64(0)), field(5, "ab")))), []Reason{FirstDeltaNotZero}, [kindCount]int{TimestampedData: 1}},
		{"timestamped data that does not split", streamData(field(4, parts(field(4, parts(0, 5)), field(5, "abc")))), []Reason{SamplesUneven}, [kindCount]int{TimestampedData: 1}},
		{"timestamped data without deltas", streamData(field(4, field(5, "abc"))), []Reason{SamplesUneven}, [kindCount]int{TimestampedData: 1}},
		{"timestamped data without samples", streamData(field(4, field(4, parts(0, 5)))), []Reason{SamplesUneven}, [kindCount]int{TimestampedData: 1}},
		{"deltas that end within a number", streamData(field(4, parts(field(4, parts(0, 0x85)), field(5, "ab")))), []Reason{NotProtobuf}, [kindCount]int{}},
		{"deltas of which one is too long", streamData(field(4, parts(field(4, parts(0, tenBytes, 2)), field(5, "ab")))), []Reason{NotProtobuf}, [kindCount]int{}},
		{"deltas of which one is far too long", streamData(field(4, parts(field(4, parts(0, 0, 0, 0, tenBytes, tenBytes, 1)), field(5, "ab")))), []Reason{NotProtobuf}, [kindCount]int{}},
		{"a delta that is too long, not packed", streamData(field(4, parts(0x20, tenBytes, 2))), []Reason{NotProtobuf}, [kindCount]int{}},

		{"periodic data", streamData(field(5, parts(field(4, uint64(2)), field(5, "abcd")))), nil, [kindCount]int{PeriodicData: 1}},
		{"periodic data that does not split", streamData(field(5, parts(field(4, uint64(3)), field(5, "abcd")))), []Reason{SamplesUneven}, [kindCount]int{PeriodicData: 1}},
		{"periodic data of no samples", streamData(field(5, field(5, "abcd"))), []Reason{SamplesUneven}, [kindCount]int{PeriodicData: 1}},
		{"periodic data of a negative number of samples", streamData(field(5, parts(field(4, negative), field(5, "abcd")))), []Reason{SamplesUneven}, [kindCount]int{PeriodicData: 1}},
		{"periodic data whose number of samples is cut to 32 bits", streamData(field(5, parts(field(4, uint64(1<<32+2)), field(5, "abcd")))), nil, [kindCount]int{PeriodicData: 1}},
		{"periodic data that is empty", streamData(field(5, "")), []Reason{SamplesUneven}, [kindCount]int{PeriodicData: 1}},

		{"row data", streamData(field(6, parts(field(1, parts(1, 2)), field(3, "abc")))), nil, [kindCount]int{RowData: 1}},
		{"row data with channels that are not packed", streamData(field(6, parts(field(1, uint64(1)), field(1, uint64(2)), field(3, "abc")))), nil, [kindCount]int{RowData: 1}},
		{"row data with fewer bytes than channels", streamData(field(6, parts(field(1, parts(1, 2)), field(3, "a")))), []Reason{SamplesUneven}, [kindCount]int{RowData: 1}},
		{"row data without channels", streamData(field(6, field(3, "a"))), []Reason{SamplesUneven}, [kindCount]int{RowData: 1}},

		{"an event", streamData(field(7, parts(field(1, negative), field(2, "app"), field(3, int64(1)), field(4, "Überrev"), field(5, make([]byte, 16)), field(5, int64(1))))), nil, [kindCount]int{Event: 1}},
		{"an event that is empty", streamData(field(7, "")), nil, [kindCount]int{Event: 1}},
		{"an event with half a double", streamData(field(7, field(5, make([]byte, 12)))), []Reason{NotProtobuf}, [kindCount]int{}},
		{"an event with a text that is not UTF-8", streamData(field(7, field(4, "\xff"))), []Reason{NotUTF8}, [kindCount]int{}},
		{"an event with a text that is not UTF-8 and does not count", streamData(field(7, parts(field(4, "\xff"), field(4, "x")))), []Reason{NotUTF8}, [kindCount]int{}},

		{"Session JSON", streamData(field(2, goodSession)), nil, [kindCount]int{SessionJSON: 1}},
		{"Session JSON that is empty", streamData(field(2, "")), []Reason{SessionNotJSON}, [kindCount]int{SessionJSON: 1}},
		{"Session JSON that is not UTF-8", streamData(field(2, "{\"identity\": \"\xff\"}")), []Reason{NotUTF8}, [kindCount]int{}},
		{"several things to warn of", parts(streamData(field(2, "{}")), streamData(), streamData(field(3, field(1, int64(1))))), []Reason{EmptyStreamData, TimeRangeReversed, SessionIdentityMissing, SessionStateUnknown}, [kindCount]int{SessionJSON: 1, TimeRange: 1}},
	} {
		t.Run(test.name, func(t *testing.T) {
			var want Reasons
			for _, r := range test.want {
				want.add(r)
			}
			var w walk
			valid := w.burst(test.burst)
			if w.reasons != want || valid != (want.Verdict() != Invalid) {
				t.Errorf("reasons %q, want %q", w.reasons, want)
			}
			if valid && w.kinds != test.kinds {
				t.Errorf("kinds %v, want %v", w.kinds, test.kinds)
			}
			compareWithGeneratedCode(t, test.burst)
		})
	}
}

func TestListsOfNumbersAreCountedWhereverTheyEnd(t *testing.T) {
	numbers := []uint64{0, 1, 127, 128, 1 << 14, 1 << 21, 1 << 28, 1 << 35, 1 << 42, 1 << 49, 1 << 56, 1 << 63, math.MaxUint64}
	for _, x := range numbers {
		for _, y := range numbers {
			for length := range 20 {
				var list []byte
				for range length {
					list = protowire.AppendVarint(protowire.AppendVarint(list, x), y)
				}
				for _, spare := range []int{0, 3, 8} { // what follows in the burst
					b := parts(list, make([]byte, spare))[:len(list)]
					if n, ok := countVarints(b); n != 2*length || !ok {
						t.Fatalf("%d times %d and %d: %d, %t", length, x, y, n, ok)
					}
					if n, ok := countVarints(append(slices.Clip(b), 0x80)); ok {
						t.Fatalf("%d times %d and %d and half a number: %d", length, x, y, n)
					}
				}
			}
		}
	}
}

func TestTheSizeOfABurst(t *testing.T) {
	for _, test := range []struct {
		name     string
		size     int
		maxBurst int
		want     Reasons
	}{
		{"may be 1 MiB", AllowedBurst, 0, 0},
		{"is warned of past 1 MiB", AllowedBurst + 1, 0, 1 << OverOneMiB},
		{"may be the limit", 10_000, 10_000, 0},
		{"is invalid past the limit", 10_001, 10_000, 1 << TooLarge},
		{"may be 16 MiB if no limit is set", DefaultMaxBurst, 0, 1 << OverOneMiB},
		{"is invalid past 16 MiB if no limit is set", DefaultMaxBurst + 1, 0, 1 << TooLarge},
	} {
		t.Run(test.name, func(t *testing.T) {
			burst := padded(t, test.size)
			encodings := Encodings()
			if test.size >= DefaultMaxBurst {
				encodings = encodings[:1] // a limit is one, wherever it comes from
			}
			for _, enc := range encodings {
				data, err := Pack(enc, nil, burst)
				if err != nil {
					t.Fatal(err)
				}
				c := Checker{MaxBurst: test.maxBurst}
				if got := c.Check(data, Auto); got.Reasons != test.want {
					t.Errorf("%s: %q, want %q", enc, got.Reasons, test.want)
				}
			}
		})
	}
}

// padded is a valid burst of exactly size bytes.
func padded(t *testing.T, size int) []byte {
	filled := func(n int) []byte {
		return streamData(field(5, parts(field(4, uint64(1)), field(5, make([]byte, n)))))
	}
	const spare = 40
	framed := len(filled(size-spare)) - (size - spare)
	burst := filled(size - framed)
	if len(burst) != size {
		t.Fatalf("no burst has %d bytes", size)
	}
	return burst
}

func TestCheckingAllocatesNothingInTheSteadyState(t *testing.T) {
	bursts := newTelemetry(4)
	plain := [][]byte{bursts.burst(64 << 10), bursts.burst(60 << 10), bursts.burst(66 << 10)}
	for _, enc := range Encodings() {
		for _, hint := range []Encoding{Auto, enc} {
			t.Run(enc.String()+" hinted "+hint.String(), func(t *testing.T) {
				var c Checker
				var messages [][]byte
				for _, b := range plain {
					data, err := Pack(enc, nil, b)
					if err != nil {
						t.Fatal(err)
					}
					messages = append(messages, data, data[:len(data)/2])
					c.Check(data, hint)
				}
				i := 0
				if n := testing.AllocsPerRun(100, func() {
					c.Check(messages[i%len(messages)], hint)
					i++
				}); n != 0 {
					t.Errorf("%v allocations a message", n)
				}
			})
		}
	}
}

// allocated returns how many bytes work allocates.
func allocated(work func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	work()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

func TestNoMessageAllocatesMoreThanTheLimit(t *testing.T) {
	const size = 256 << 20
	block := longBlock(size)[4:]
	legacy, frame := parts(uint32(legacyFrameMagic)), frameHead(plainFLG, 0x70)
	for range size / (4 << 20) {
		legacy = append(legacy, longBlock(4<<20)...)
		frame = append(frame, longBlock(4<<20)...)
	}
	bombs := map[string][]byte{
		"frame":               parts(frame, uint32(0)),
		"legacy-frame":        legacy,
		"pickle":              parts(3<<6, uint32(size-len(block)), block),
		"size-prefixed-block": parts(uint32(size), block),
		"wrap":                parts(uint32(size), uint32(len(block)), block),
		"block":               block,
	}
	largest := padded(t, DefaultMaxBurst)
	for _, enc := range Encodings() {
		if data := bombs[enc.String()]; len(data) > 11<<20/10 {
			t.Fatalf("%s: a bomb of %d bytes is none", enc, len(data))
		}
		bombs[enc.String()+" just within the limit"], _ = Pack(enc, nil, largest)
	}
	bombs["a claim of 4 GiB"] = parts(uint32(math.MaxUint32), make([]byte, 100))
	bombs["a claim that could be met"] = parts(uint32(DefaultMaxBurst), make([]byte, 1<<20))
	bombs["a frame's claim that could be met"] = parts(frameHead(plainFLG|flgContentSize, 0x70, uint32(DefaultMaxBurst), uint32(0)), make([]byte, 1<<20))
	bombs["a deep Session JSON"] = parts(0, streamData(field(2, strings.Repeat("[", 8<<20))))
	for name, data := range bombs {
		t.Run(name, func(t *testing.T) {
			var c Checker
			var got Result
			n := allocated(func() { got = c.Check(data, Auto) })
			if want := strings.HasSuffix(name, "within the limit"); want != (got.Verdict == Warn) {
				t.Errorf("%s", got.Reasons)
			}
			if n > DefaultMaxBurst+4<<20 {
				t.Errorf("%d MiB allocated", n>>20)
			}
			if kept := cap(c.unpacker.buf); kept > keepBuffer {
				t.Errorf("%d MiB kept", kept>>20)
			}
		})
	}
}

func TestACheckerTakesNothingFromOneMessageToTheNext(t *testing.T) {
	long, err := proto.Marshal(&pb.StreamDataBurst{Data: []*pb.StreamData{newTelemetry(9).periodic(5000)}})
	if err != nil {
		t.Fatal(err)
	}
	short := streamData(field(3, field(2, int64(1))))
	for _, enc := range Encodings() {
		var c Checker
		for _, burst := range [][]byte{long, short, long, short[:len(short)-1], short} {
			data, err := Pack(enc, nil, burst)
			if err != nil {
				t.Fatal(err)
			}
			var fresh Checker
			if got, want := c.Check(data, Auto), fresh.Check(data, Auto); got != want {
				t.Errorf("%s of %d bytes: %+v, a fresh checker says %+v", enc, len(burst), got, want)
			}
		}
	}
}

func TestWhyAMessageCannotBeUnpacked(t *testing.T) {
	burst := newTelemetry(7).burst(2000)
	frame, err := Pack(Frame, nil, burst)
	if err != nil {
		t.Fatal(err)
	}
	damaged := append([]byte{}, frame...)
	damaged[len(damaged)-1] ^= 1
	for _, test := range []struct {
		name string
		data []byte
		want Reason
	}{
		{"nothing is there", nil, Empty},
		{"no encoding fits", []byte("neither LZ4 nor protobuf"), Unreadable},
		{"a checksum does not fit", damaged, ChecksumMismatch},
		{"a frame is cut off", frame[:len(frame)/2], Unreadable},
		{"something follows a frame", append(slices.Clip(frame), 0), TrailingBytes},
		{"it is a bomb", longBlock(DefaultMaxBurst + 1)[4:], TooLarge},
		{"it is a burst that is not packed", burst, Unreadable},
	} {
		t.Run(test.name, func(t *testing.T) {
			var c Checker
			got := c.Check(test.data, Auto)
			if want := (Result{Verdict: Invalid, Reasons: 1 << test.want, Compressed: len(test.data)}); got != want {
				t.Errorf("%+v, want %+v", got, want)
			}
		})
	}
}

func TestAPinnedEncodingIsTheOnlyOneThatIsTried(t *testing.T) {
	burst := newTelemetry(8).burst(2000)
	for _, packed := range Encodings() {
		data, err := Pack(packed, nil, burst)
		if err != nil {
			t.Fatal(err)
		}
		for _, pinned := range Encodings() {
			c := Checker{Pinned: pinned}
			if got := c.Check(data, packed); (got.Verdict == OK) != (pinned == packed) {
				t.Errorf("packed as %s, pinned to %s: %s", packed, pinned, got.Verdict)
			}
		}
	}
}
