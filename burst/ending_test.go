package burst

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"testing"
)

// endingIn is an LZ4 block of a burst that has a long match at index 60 and ends
// with another and so many literals behind it, which may be none at all, without
// even a token.
func endingIn(t *testing.T, burst []byte, match, literals int) []byte {
	t.Helper()
	end := len(burst) - max(literals, 0)
	start := end - match
	from := bytes.LastIndex(burst[:end-1], burst[start:end])
	if from < 0 {
		t.Fatalf("no match of %d bytes", match)
	}
	const long, length = 60, 300
	b := append(appendLength([]byte{0xff}, long), burst[:long]...)
	b = appendLength(append(b, 4, 0), length-4)
	if match < 19 {
		b = append(b, byte(0xf0+match-4))
	} else {
		b = append(b, 0xff)
	}
	b = append(appendLength(b, start-long-length), burst[long+length:start]...)
	b = binary.LittleEndian.AppendUint16(b, uint16(start-from))
	if match >= 19 {
		b = appendLength(b, match-4)
	}
	switch {
	case literals < 0:
		return b
	case literals < 15:
		b = append(b, byte(literals<<4))
	default:
		b = appendLength(append(b, 0xf0), literals)
	}
	return append(b, burst[end:]...)
}

// TestTheEndOfABlockIsJudgedAsClientsJudgeIt holds the verdicts against what
// liblz4 1.9.4 does, in a buffer that is just long enough and in a larger one.
func TestTheEndOfABlockIsJudgedAsClientsJudgeIt(t *testing.T) {
	text := "box two, pit in now; " + string(bytes.Repeat([]byte("box "), 200))
	burst := streamData(field(7, parts(field(1, uint64(5)), field(4, text))))
	for _, test := range []struct {
		match, literals int
		want            ending
	}{
		{4, -1, endBroken}, {40, -1, endBroken}, {300, -1, endBroken},
		{4, 0, endBroken}, {4, 4, endBroken}, {18, 4, endBroken}, {18, 5, endFine},
		{4, 5, endRisky}, {4, 7, endRisky}, {4, 8, endFine},
		{5, 6, endRisky}, {5, 7, endFine}, {6, 5, endRisky}, {6, 6, endFine}, {7, 5, endFine},
		{19, 3, endBroken}, {19, 4, endRisky}, {19, 5, endFine}, {273, 3, endBroken}, {274, 2, endBroken}, {274, 3, endRisky}, {274, 5, endFine},
		{8, 14, endFine}, {8, 15, endFine}, {8, 40, endFine},
	} {
		block := endingIn(t, burst, test.match, test.literals)
		size := uint32(len(burst))
		for enc, data := range map[Encoding][]byte{
			Pickle:            parts(3<<6, size-uint32(len(block)), block),
			SizePrefixedBlock: parts(size, block),
			Wrap:              parts(size, uint32(len(block)), block),
			Block:             block,
			LegacyFrame:       parts(uint32(legacyFrameMagic), uint32(len(block)), block),
			Frame:             parts(frameHead(plainFLG, bd64K), uint32(len(block)), block, uint32(0)),
		} {
			want := map[ending]Reasons{endFine: 0, endRisky: 1 << BlockEndInvalid, endBroken: 1 << Unreadable}[test.want]
			if test.want == endRisky {
				switch enc {
				case Block:
					want = 1 << BlockEndRisky
				case Frame, LegacyFrame:
					want = 0
				}
			}
			t.Run(fmt.Sprintf("%s, a match of %d before %d literals", enc, test.match, test.literals), func(t *testing.T) {
				c := Checker{Pinned: enc}
				for range 2 { // with a new buffer, and with one that is there
					if got := c.Check(data, Auto); got.Reasons != want {
						t.Errorf("%s (%s), want %s", got.Verdict, got.Reasons, want)
					}
				}
				if d := c.Explain(data); d != nil && d.LooksLike != "" {
					t.Errorf("it looks like %s: %s", d.LooksLike, d.Text)
				}
				if auto := new(Checker).Check(data, Auto); auto.Verdict != want.Verdict() {
					t.Errorf("%s (%s) if the encoding is not known, want %s", auto.Verdict, auto.Reasons, want.Verdict())
				}
			})
		}
	}
}

// TestWhatBeginsWithAZeroIsNoStoredPickleUnlessItIsOne: a stored pickle is a
// guess that any bytes behind a 0 pass for.
func TestWhatBeginsWithAZeroIsNoStoredPickleUnlessItIsOne(t *testing.T) {
	burst := newTelemetry(11).burst(2000)
	block, err := Pack(Block, nil, burst)
	if err != nil {
		t.Fatal(err)
	}
	bigEndian := func(n int) []byte { return binary.BigEndian.AppendUint32(nil, uint32(n)) }
	for _, test := range []struct {
		name string
		data []byte
		want Reason
	}{
		{"an LZ4 block behind a big-endian length", parts(bigEndian(len(burst)), block), Unreadable},
		{"an LZ4 block behind two big-endian lengths", parts(bigEndian(len(burst)), bigEndian(len(block)), block), Unreadable},
		{"a text", parts(0, "neither LZ4 nor protobuf"), Unreadable},
		{"zeros", make([]byte, 100), Unreadable},
		{"a stored burst that is cut off", parts(0, burst[:1000]), NotProtobuf},
		{"a stored burst of one StreamData that is cut off", parts(0, streamData(field(2, goodSession))[:20]), NotProtobuf},
		{"a stored burst with a wrong wire type", parts(0, streamData(field(3, field(1, uint64(5))))), WrongWireType},
		{"a stored Session JSON that is none", parts(0, streamData(field(2, "x"))), SessionNotJSON},
		{"a stored burst that is empty", parts(0), NoStreamData},
	} {
		t.Run(test.name, func(t *testing.T) {
			var c Checker
			for _, hint := range []Encoding{Auto, Pickle, Block} {
				if got := c.Check(test.data, hint); got.Reasons != 1<<test.want {
					t.Errorf("%s, want %s", got.Reasons, test.want)
				}
			}
		})
	}
	pinned := Checker{Pinned: Pickle}
	if got := pinned.Check(parts(0, "neither LZ4 nor protobuf"), Auto); got.Reasons != 1<<NotProtobuf {
		t.Errorf("pinned: %s", got.Reasons)
	}
}
