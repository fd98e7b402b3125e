package burst

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/streamkeeper/streamkeeper/internal/corpus"
)

func pack(t testing.TB, enc Encoding, burst []byte) []byte {
	t.Helper()
	data, err := Pack(enc, nil, burst)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func gzipped(data []byte) []byte {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, _ = z.Write(data)
	_ = z.Close()
	return b.Bytes()
}

func TestADetailSaysWhatAMessageIsInstead(t *testing.T) {
	burst := newTelemetry(12).burst(3000)
	block := pack(t, Block, burst)
	bigEndian := func(n int) []byte { return binary.BigEndian.AppendUint32(nil, uint32(n)) }
	session := streamData(field(2, goodSession))
	for _, test := range []struct {
		name   string
		data   []byte
		pinned Encoding
		looks  string
		text   string
	}{
		{"a burst that is not compressed", burst, Auto, "not_compressed", "not compressed"},
		{"one that is cut off, too", burst[:1500], Auto, "not_compressed", "invalid at byte"},
		{"a StreamData alone", session[2:], Auto, "stream_data", "without the StreamDataBurst"},
		{"an LZ4 block behind a big-endian length", parts(bigEndian(len(burst)), block), Auto, "big_endian_length", "big-endian"},
		{"Hadoop's lengths", parts(bigEndian(len(burst)), bigEndian(len(block)), block), Auto, "big_endian_lengths", "Hadoop"},
		{"a base-128 length", append(protowire.AppendVarint(nil, uint64(len(burst))), block...), Auto, "varint_length", "base-128"},
		{"a length of 8 bytes", append(binary.LittleEndian.AppendUint64(nil, uint64(len(burst))), block...), Auto, "length_of_8_bytes", "8 bytes"},
		{"LZ4Block of lz4-java", parts("LZ4Block", 0x26, block), Auto, "lz4_java_block_stream", "lz4-java"},
		{"gzip", gzipped(burst), Auto, "gzip", "gzip"},
		{"zstd", parts(0x28, 0xb5, 0x2f, 0xfd, 0x24, 0x10, "abcdefghijkl"), Auto, "zstd", "zstd"},
		{"JSON", []byte(goodSession), Auto, "json", "JSON"},
		{"Base64", []byte(base64.StdEncoding.EncodeToString(pack(t, Frame, burst))), Auto, "base64", "Base64 of a frame"},
		{"text", []byte(strings.ToValidUTF8(string(pack(t, Frame, burst)), "\ufffd")), Auto, "text", "converted to UTF-8"},
		{"another encoding than the pinned one", pack(t, Wrap, burst), Pickle, "other_encoding", "wrap, not pickle"},
		{"a frame behind two bytes", parts(1, 2, pack(t, Frame, burst)), Auto, "bytes_before", "2 bytes before a frame"},
		{"a size-prefixed block before three bytes", parts(pack(t, SizePrefixedBlock, burst), 1, 2, 3), Auto, "bytes_behind", "3 bytes behind"},
		{"a wrap before three bytes", parts(pack(t, Wrap, burst), 1, 2, 3), Auto, "bytes_behind", "3 bytes behind"},
		{"a size-prefixed block of another length", parts(uint32(len(burst)-1), block), Auto, "wrong_length", "whose head says"},
		{"a wrap of another compressed length", parts(uint32(len(burst)), uint32(len(block)+1), block), Auto, "wrong_length", "whose head says"},
		{"a wrap that is cut off", pack(t, Wrap, burst)[:1000], Auto, "cut_off", "a wrap cut off at byte 1000"},
		{"a frame in a frame", pack(t, Frame, pack(t, Frame, burst)), Auto, "compressed_twice", "compressed twice"},
		{"JSON in a frame", pack(t, Frame, []byte(goodSession)), Auto, "json", "JSON"},
		{"a burst behind its length", pack(t, Frame, append(protowire.AppendVarint(nil, uint64(len(burst))), burst...)), Auto, "delimited", "writeDelimitedTo"},
		{"noise", noise(300), Auto, "", "came furthest"},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := Checker{Pinned: test.pinned}
			if got := c.Check(test.data, Auto); got.Verdict != Invalid {
				t.Fatalf("%s (%s) as %s", got.Verdict, got.Reasons, got.Encoding)
			}
			d := c.Explain(test.data)
			if d.LooksLike != test.looks || !strings.Contains(d.Text, test.text) || d.Short == "" {
				t.Errorf("%q, %q, %q; want %q, %q", d.LooksLike, d.Short, d.Text, test.looks, test.text)
			}
		})
	}
}

func noise(n int) []byte {
	b := make([]byte, n)
	newTelemetry(13).fill(b)
	return b
}

func TestADetailSaysHowFarEachEncodingCame(t *testing.T) {
	burst := newTelemetry(14).burst(3000)
	for _, enc := range []Encoding{Frame, LegacyFrame, Pickle, SizePrefixedBlock} {
		data := pack(t, enc, burst)
		cut := data[:len(data)*2/3]
		var c Checker
		d := c.Explain(cut)
		if d.Furthest != enc.String() || !strings.HasPrefix(d.Short, "cut off at byte") {
			t.Errorf("%s cut off: %s came furthest: %q: %s", enc, d.Furthest, d.Short, d.Text)
		}
		for _, a := range d.Tried {
			if a.Encoding == enc.String() && a.Byte != len(cut) || a.Why == "" || a.Byte < 0 || a.Byte > len(cut) {
				t.Errorf("%s cut off: %+v", enc, a)
			}
		}
		if content := c.DecodePart(cut); content == nil || len(content.Data) == 0 || !content.Incomplete {
			t.Errorf("%s cut off: nothing could be read", enc)
		}
		if content := c.DecodePart(data[:3]); content != nil {
			t.Errorf("%s: of three bytes %d StreamData could be read", enc, len(content.Data))
		}
		damaged := bytes.Clone(data)
		copy(damaged[len(data)/2:], make([]byte, 40))
		if got := c.Check(damaged, Auto); got.Verdict == OK {
			t.Errorf("%s damaged: %s", enc, got.Verdict)
		}
		if d := c.Explain(damaged); d == nil || d.Text == "" || len(d.Tried) == 0 {
			t.Errorf("%s damaged: %+v", enc, d)
		}
	}
}

func TestAFindingHasThePathOfItsField(t *testing.T) {
	timeRange := streamData(field(3, field(2, int64(1))))
	deltas := func(list []byte, buffer string) []byte {
		return streamData(field(4, parts(field(1, uint64(1)), field(4, list), field(5, buffer))))
	}
	for _, test := range []struct {
		name   string
		burst  []byte
		reason Reason
		path   string
		text   string
	}{
		{"a list that ends within a number", parts(timeRange, timeRange, timeRange, deltas(parts(0, 0x85), "ab")), NotProtobuf, "data[3].timestamped_data.timestamp_deltas", "ends within a number"},
		{"a burst that is cut off", parts(timeRange, timeRange[:5]), NotProtobuf, "data[1]", "cut off"},
		{"a member that is longer than its StreamData", parts(timeRange, 0x0a, 2, 0x1a, 5, timeRange), NotProtobuf, "data[1].time_range", "5 bytes more than are left of the message"},
		{"half a double", streamData(field(7, field(5, make([]byte, 12)))), NotProtobuf, "data[0].event.raw_data", "no multiple of 8"},
		{"a time as a varint", parts(timeRange, streamData(field(3, field(1, uint64(5))))), WrongWireType, "data[1].time_range.start_time", "has wire type varint, the protocol's StreamTimeRange has fixed64"},
		{"Session JSON as a varint", streamData(field(2, uint64(5))), WrongWireType, "data[0].session_json", "has bytes"},
		{"a text that is not UTF-8", streamData(field(7, field(4, "ab\xff"))), NotUTF8, "data[0].event.status_text", "byte 2 of it is ff"},
		{"Session JSON that is none", parts(timeRange, streamData(field(2, `{"a": x}`))), SessionNotJSON, "data[1].session_json", "byte 6"},
		{"Session JSON without an identity", streamData(field(2, `{"state": "open"}`)), SessionIdentityMissing, "data[0].session_json", `no string "identity"`},
		{"Session JSON with an unknown state", streamData(field(2, `{"identity": "a", "state": "gone"}`)), SessionStateUnknown, "data[0].session_json", `"gone"`},
		{"deltas that do not split", parts(timeRange, deltas(parts(0, 5), "abc")), SamplesUneven, "data[1].timestamped_data", "3 bytes for 2 timestamp_deltas"},
		{"a first delta", deltas(parts(3, 5), "ab"), FirstDeltaNotZero, "data[0].timestamped_data", "is 3, not 0"},
		{"a reversed time range", parts(timeRange, streamData(field(3, field(1, int64(9))))), TimeRangeReversed, "data[1].time_range", "9 is after end_time 0"},
		{"an unknown field", streamData(field(3, field(2, int64(1))), field(9, uint64(1))), UnknownField, "data[0].field 9", "no field 9"},
		{"an empty StreamData", parts(timeRange, streamData()), EmptyStreamData, "data[1]", "empty"},
		{"two members", streamData(field(3, ""), field(3, "")), SeveralMembers, "data[0].time_range", "last counts"},
		{"a long tag", parts(timeRange, overlong(0x0a, 6), 2, 0x1a, 0), OverlongVarint, "data[1]", "more than 5 bytes"},
		{"a long length within", streamData(field(4, parts(0x22, overlong(2, 6), 0, 1, field(5, "ab")))), OverlongVarint, "data[0].timestamped_data.timestamp_deltas", "more than 5 bytes"},
		{"groups", parts(timeRange, groups(101)), NestedTooDeep, "field 9", "100 deep"},
		{"wire type 7", parts(timeRange, 0x7f, 0), NotProtobuf, "field 15", "no wire type 7"},
		{"field number 0", parts(timeRange, 0x02, 0), NotProtobuf, "field 0", "number 0"},
	} {
		t.Run(test.name, func(t *testing.T) {
			var c Checker
			d := c.Explain(pack(t, Frame, test.burst))
			if d == nil || len(d.Findings) == 0 {
				t.Fatalf("%+v", d)
			}
			f := d.Findings[len(d.Findings)-1]
			if f.Reason != test.reason.String() || f.Path != test.path || !strings.Contains(f.Text, test.text) {
				t.Errorf("%+v, want %s at %s: %s", f, test.reason, test.path, test.text)
			}
			if _, err := json.Marshal(d); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestNothingIsExplainedOfAMessageThatIsOK(t *testing.T) {
	var c Checker
	for _, enc := range Encodings() {
		if d := c.Explain(pack(t, enc, newTelemetry(15).burst(1000))); d != nil {
			t.Errorf("%s: %+v", enc, d)
		}
	}
}

// FuzzExplain looks for messages that are explained otherwise than judged, and
// for places that are not in the message.
func FuzzExplain(f *testing.F) {
	for _, m := range corpus.Read[message](f, corpus.Bursts) {
		if len(m.Data) < 4<<10 {
			f.Add(m.Data)
		}
	}
	var c Checker
	f.Fuzz(func(t *testing.T, data []byte) {
		r := c.Check(data, Auto)
		d := c.Explain(data)
		if (d == nil) != (r.Verdict == OK) {
			t.Fatalf("%s, but %+v", r.Reasons, d)
		}
		if d == nil {
			return
		}
		var reasons []string
		for _, f := range d.Findings {
			reasons = append(reasons, f.Reason)
			if f.Offset != nil && *f.Offset < 0 || f.Text == "" {
				t.Errorf("%+v", f)
			}
		}
		if got := strings.Join(reasons, ","); got != r.Reasons.String() {
			t.Errorf("explained are %s, judged %s", got, r.Reasons)
		}
		for _, a := range d.Tried {
			if a.Byte < 0 || a.Byte > len(data) {
				t.Errorf("%+v in %d bytes", a, len(data))
			}
		}
		content := c.DecodePart(data)
		if _, err := json.Marshal(content); err != nil {
			t.Error(err)
		}
	})
}
