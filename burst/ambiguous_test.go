package burst

import (
	"encoding/binary"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
)

// ambiguous makes a message that is an LZ4 block and a pickle, with a burst in
// it either way. Read as a block the burst is a StreamData whose member has the
// given field number, mostly a buffer; read as a pickle it is a field of that
// number, which a burst does not have, and then a time range. So member 6 makes
// an OK block and a pickle to warn of, and member 8, which nobody knows, makes
// two to warn of.
//
// The two readings share the first bytes and then take turns: while one is in a
// long run of literals, the other has its matches.
func ambiguous(t *testing.T, member protowire.Number) []byte {
	t.Helper()
	const (
		length     = 8<<14 | 0x70<<7 | 0x7f // of the block's StreamData
		inner      = length - 4             // of the member, and of the pickle's odd field
		difference = 0xff<<8 | 0x0a         // the pickle's head, and `data` with the length's first byte
		pickled    = 4 + inner + 22         // the pickle's burst
		rest       = pickled - difference   // the pickle's block
	)
	message := []byte{2 << 6} // the pickle's flags; the block's token: eight literals, a match of four
	message = binary.LittleEndian.AppendUint16(message, difference)

	b := make([]byte, rest)
	b[0], b[1] = 0xf0, 8 // the rest of the block's length; the pickle's token: 15+8 literals, a match of four
	head := protowire.AppendTag(nil, member, protowire.BytesType)
	head = protowire.AppendVarint(head, inner)
	copy(b[2:], head)
	b[6] = 1                               // the block's match: the length's last byte four times, which is two channels
	blockToken := 8                        // literals and a match as long as it takes
	copy(b[25:], []byte{1, 0, 0x0f, 1, 0}) // the pickle's match, and the next: as long as it takes
	timeRange := append([]byte{0x0a, 20, 0x1a, 18}, 0x09, 1, 0, 0, 0, 0, 0, 0, 0, 0x11, 2, 0, 0, 0, 0, 0, 0, 0)
	copy(b[rest-22:], timeRange)

	// The pickle: its match, then literals to the end.
	var at int
	for at = 30; ; at++ {
		literals := rest - at
		match := pickled - 27 - literals
		var seq []byte
		seq = appendLength(seq, match-4)
		seq = append(seq, 0xf0)
		seq = appendLength(seq, literals)
		if 30+len(seq) == at {
			copy(b[30:], seq)
			break
		}
	}
	// The block: literals until the pickle is in its last ones, a match, literals
	// to the end.
	literals := at + 100 - blockToken
	b[blockToken] = 0xff
	n := copy(b[blockToken+1:], appendLength(nil, literals))
	start := blockToken + 1 + n
	if start+8 > 25 {
		t.Fatal("no room for the head of the buffer")
	}
	buffer := protowire.AppendTag(nil, 3, protowire.BytesType)
	copy(b[start:], protowire.AppendVarint(buffer, inner-4-4))
	match := start + literals
	for tail := match + 3; ; tail++ {
		last := rest - tail
		length := 4 + length - 12 - literals - last
		seq := appendLength([]byte{1, 0}, length-4)
		seq = append(seq, 0xf0)
		seq = appendLength(seq, last)
		if match+len(seq) == tail {
			copy(b[match:], seq)
			break
		}
	}
	return append(message, b...)
}

// appendLength appends what follows a token for a length of 15 or more.
func appendLength(b []byte, length int) []byte {
	for length -= 15; length >= 255; length -= 255 {
		b = append(b, 255)
	}
	return append(b, byte(length))
}

func TestAnAmbiguousMessage(t *testing.T) {
	good, poor := ambiguous(t, 6), ambiguous(t, 8)
	for _, test := range []struct {
		name         string
		data         []byte
		hint, pinned Encoding
		want         Encoding
		verdict      Verdict
	}{
		{"is read so that it is ok, although a warning comes earlier in the order", good, Auto, Auto, Block, OK},
		{"is read so that it is ok, although the stream was seen otherwise", good, Pickle, Auto, Block, OK},
		{"is read as the stream was seen if that is ok", good, Block, Auto, Block, OK},
		{"is read as pinned, whatever else would be better", good, Block, Pickle, Pickle, Warn},
		{"is read in the order of preference if each reading warns", poor, Auto, Auto, Pickle, Warn},
		{"is read as the stream was seen if each reading warns", poor, Block, Auto, Block, Warn},
		{"is read in the order of preference if the hint fails", poor, Wrap, Auto, Pickle, Warn},
		{"is invalid if it is pinned to an encoding that fails", good, Pickle, Wrap, Auto, Invalid},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := Checker{Pinned: test.pinned}
			got := c.Check(test.data, test.hint)
			if got.Encoding != test.want || got.Verdict != test.verdict {
				t.Errorf("%s as %q (%s), want %s as %q", got.Verdict, got.Encoding, got.Reasons, test.verdict, test.want)
			}
		})
	}
}
