package burst

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"math"
	"testing"

	"github.com/pierrec/lz4/v4"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/streamkeeper/streamkeeper/burst/pb"
	"github.com/streamkeeper/streamkeeper/internal/corpus"
)

// FuzzUnpack looks for bytes that unpack to more than the limit, differently
// with another buffer, otherwise than the library has it, or not to what they
// were packed from.
func FuzzUnpack(f *testing.F) {
	for _, m := range corpus.Read[message](f, corpus.Bursts) {
		if len(m.Data) < 4<<10 {
			f.Add(m.Data)
		}
	}
	const limit = 1 << 20
	buffer := make([]byte, 4<<10)
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, enc := range Encodings() {
			var fresh unpacker
			got, err := fresh.unpack(enc, data, limit)
			if len(got) > limit || cap(fresh.buf) > limit+bufferStep {
				t.Fatalf("%s: %d bytes in a buffer of %d", enc, len(got), cap(fresh.buf))
			}
			used := unpacker{buf: buffer}
			again, errAgain := used.unpack(enc, data, limit)
			if !bytes.Equal(got, again) || !errors.Is(err.err, errAgain.err) || fresh.risky != used.risky {
				t.Fatalf("%s: %d bytes, %v, and with a buffer %d bytes, %v", enc, len(got), err, len(again), errAgain)
			}
			if err.err != nil {
				if err.at < 0 || err.at > len(data) || err.what == "" {
					t.Fatalf("%s: %+v in %d bytes", enc, err, len(data))
				}
				continue
			}
			checkEnd(t, enc, data, fresh.risky)
			compareWithLibrary(t, enc, data, got)
			packed, packErr := Pack(enc, nil, got)
			if packErr != nil {
				t.Fatal(packErr)
			}
			if again, err := Unpack(enc, packed, limit); err != nil || !bytes.Equal(got, again) {
				t.Fatalf("%s packed and unpacked: %v", enc, err)
			}
		}
	})
}

// checkEnd holds the look at the end of a block against a walk over all of it.
func checkEnd(t *testing.T, enc Encoding, data []byte, risky bool) {
	t.Helper()
	env, _ := open(enc, data)
	for !env.stored {
		p, ok, f := env.next()
		if !ok || f.err != nil {
			return
		}
		if p.stored {
			continue
		}
		want := endFine
		if enc == Block && risky {
			want = endRisky
		}
		end := walkSequences(p.data, math.MaxInt, math.MaxInt).ending(len(p.data))
		if end != want && !(end == endRisky && (enc == Frame || enc == LegacyFrame)) {
			t.Fatalf("%s: the end is %d, want %d", enc, end, want)
		}
	}
}

func compareWithLibrary(t *testing.T, enc Encoding, data, got []byte) {
	t.Helper()
	var want []byte
	var err error
	switch enc {
	case Frame, LegacyFrame:
		want, err = io.ReadAll(lz4.NewReader(bytes.NewReader(data)))
	case Block:
		want = make([]byte, len(got)+64)
		var n int
		n, err = lz4.UncompressBlock(data, want)
		want = want[:n]
	default:
		return
	}
	if err != nil || !bytes.Equal(got, want) {
		t.Fatalf("%s: %d bytes, the library says %d, %v", enc, len(got), len(want), err)
	}
}

// FuzzCheck looks for bursts that the walk over the wire judges otherwise than
// the generated code, and for what a Checker says of them when packed.
func FuzzCheck(f *testing.F) {
	for _, m := range corpus.Read[message](f, corpus.Bursts) {
		enc, _ := ParseEncoding(m.Encoding)
		if plain, err := Unpack(enc, m.Data, 4<<10); err == nil {
			f.Add(plain)
		} else if plain, err := Unpack(Block, m.Data, 4<<10); err == nil {
			f.Add(plain)
		}
	}
	var c Checker
	f.Fuzz(func(t *testing.T, burst []byte) {
		w := compareWithGeneratedCode(t, burst)
		data, err := Pack(Block, nil, burst)
		if err != nil {
			t.Fatal(err)
		}
		result, content := c.Decode(data, Block)
		if result.Verdict > w.reasons.Verdict() {
			t.Errorf("%s when packed, %s when not", result.Verdict, w.reasons.Verdict())
		}
		if result.Encoding == Block && (result.Reasons != w.reasons || result.Kinds != w.kinds || result.Size != len(burst)) {
			t.Errorf("%+v when packed, %+v when not", result, w)
		}
		if _, err := json.Marshal(content); err != nil {
			t.Error(err)
		}
	})
}

// compareWithGeneratedCode walks a burst and holds the outcome against what the
// generated code makes of it: whatever protobuf rejects is invalid; whatever it
// accepts has the same kinds and the same faults, and is invalid only by rules of
// ours that are stricter.
func compareWithGeneratedCode(t *testing.T, burst []byte) walk {
	t.Helper()
	var w walk
	valid := w.burst(burst)
	if valid != (w.reasons.Verdict() != Invalid) {
		t.Fatalf("valid %t with the reasons %q", valid, w.reasons)
	}
	var message pb.StreamDataBurst
	if err := proto.Unmarshal(burst, &message); err != nil {
		if valid {
			t.Errorf("valid (%q), but protobuf says %v", w.reasons, err)
		}
		return w
	}
	// Only what protobuf takes for unknown may have a wrong wire type.
	unknown := hasUnknown(&message)
	if w.reasons.Has(NestedTooDeep) {
		return w // Go's parser takes a hundred times as many
	}
	if w.reasons.Has(NotProtobuf) || w.reasons.Has(NotUTF8) || w.reasons.Has(WrongWireType) && !unknown {
		t.Errorf("reasons %q, but protobuf takes it", w.reasons)
	}
	want, kinds := expect(&message)
	if unknown {
		want.add(UnknownField)
	}
	// The walk ends where the burst is known to be invalid. Fields of several
	// members cannot be told from the objects.
	ours := w.reasons &^ (1<<SeveralMembers | 1<<WrongWireType | 1<<OverlongVarint)
	switch {
	case valid:
		if ours != want || w.kinds != kinds {
			t.Errorf("reasons %q, kinds %v, but the objects have %q, %v", w.reasons, w.kinds, want, kinds)
		}
	case want.Verdict() != Invalid && !w.reasons.Has(WrongWireType):
		t.Errorf("reasons %q, but the objects have %q", w.reasons, want)
	}
	return w
}

// hasUnknown reports whether a message, or one in it, has unknown fields.
func hasUnknown(m *pb.StreamDataBurst) bool {
	if len(m.ProtoReflect().GetUnknown()) > 0 {
		return true
	}
	for _, d := range m.Data {
		members := []protoreflect.ProtoMessage{d, d.GetTimeRange(), d.GetTimestampedData(), d.GetPeriodicData(), d.GetRowData(), d.GetEvent()}
		for _, member := range members {
			if len(member.ProtoReflect().GetUnknown()) > 0 {
				return true
			}
		}
	}
	return false
}

// expect returns what is to be said of a burst by its objects.
func expect(m *pb.StreamDataBurst) (reasons Reasons, kinds [kindCount]int) {
	if len(m.Data) == 0 {
		reasons.add(NoStreamData)
	}
	for _, d := range m.Data {
		if proto.Size(d) == 0 {
			reasons.add(EmptyStreamData)
		}
		switch member := d.Data.(type) {
		case *pb.StreamData_SessionJson:
			kinds[SessionJSON]++
			reasons |= checkSessionJSON([]byte(member.SessionJson))
		case *pb.StreamData_TimeRange:
			kinds[TimeRange]++
			if member.TimeRange.StartTime > member.TimeRange.EndTime {
				reasons.add(TimeRangeReversed)
			}
		case *pb.StreamData_TimestampedData:
			kinds[TimestampedData]++
			deltas, buffer := member.TimestampedData.TimestampDeltas, member.TimestampedData.Buffer
			if len(deltas) == 0 || len(buffer) == 0 || len(buffer)%len(deltas) != 0 {
				reasons.add(SamplesUneven)
			}
			if len(deltas) > 0 && deltas[0] != 0 {
				reasons.add(FirstDeltaNotZero)
			}
		case *pb.StreamData_PeriodicData:
			kinds[PeriodicData]++
			samples, buffer := member.PeriodicData.Samples, member.PeriodicData.Buffer
			if samples <= 0 || len(buffer) == 0 || len(buffer)%int(samples) != 0 {
				reasons.add(SamplesUneven)
			}
		case *pb.StreamData_RowData:
			kinds[RowData]++
			ids, buffer := member.RowData.ChannelIds, member.RowData.Buffer
			if len(ids) == 0 || len(buffer) < len(ids) {
				reasons.add(SamplesUneven)
			}
		case *pb.StreamData_Event:
			kinds[Event]++
		}
	}
	return reasons, kinds
}
