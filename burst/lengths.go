package burst

import (
	"encoding/binary"
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"
)

// lengths are heads before an LZ4 block that none of the encodings has.
var lengths = []struct {
	resemblance
	head int
	size func(head []byte, rest int) (uint64, bool)
}{
	{resemblance{"big_endian_length", "an LZ4 block behind a big-endian length"}, 4, func(head []byte, _ int) (uint64, bool) {
		return uint64(binary.BigEndian.Uint32(head)), true
	}},
	{resemblance{"big_endian_lengths", "an LZ4 block behind two big-endian lengths, as Hadoop writes them"}, 8, func(head []byte, rest int) (uint64, bool) {
		return uint64(binary.BigEndian.Uint32(head)), uint64(binary.BigEndian.Uint32(head[4:])) == uint64(rest)
	}},
	{resemblance{"length_of_8_bytes", "an LZ4 block behind a little-endian length of 8 bytes"}, 8, func(head []byte, _ int) (uint64, bool) {
		return binary.LittleEndian.Uint64(head), true
	}},
	{resemblance{"big_endian_length_of_8_bytes", "an LZ4 block behind a big-endian length of 8 bytes"}, 8, func(head []byte, _ int) (uint64, bool) {
		return binary.BigEndian.Uint64(head), true
	}},
}

// otherLengths is for an LZ4 block behind a length in a form that none of the
// encodings has.
func (c *Checker) otherLengths(data []byte) (resemblance, bool) {
	for _, l := range lengths {
		if len(data) <= l.head {
			continue
		}
		rest := data[l.head:]
		if size, ok := l.size(data[:l.head], len(rest)); ok && c.holds(rest, size) {
			return l.resemblance, true
		}
	}
	if size, n := protowire.ConsumeVarint(data); n > 0 && c.holds(data[n:], size) {
		return resemblance{"varint_length", "an LZ4 block behind a base-128 length"}, true
	}
	return resemblance{}, false
}

// holds reports whether an LZ4 block is of so many bytes.
func (c *Checker) holds(block []byte, size uint64) bool {
	if len(block) == 0 || size == 0 || size > uint64(c.maxBurst()) {
		return false
	}
	s := walkSequences(block, 0, int(size))
	return s.what == "" && uint64(s.size) == size && s.ending(len(block)) != endBroken
}

// moreBytes is for a message with something before it or behind it.
func (c *Checker) moreBytes(data []byte) (resemblance, bool) {
	const most = 16
	for n := 1; n <= most && n < len(data); n++ {
		if magicOf(data[n:]) != Auto && !isSkippable(data[n:]) {
			if enc, ok := c.readable(data[n:]); ok {
				return resemblance{"bytes_before", fmt.Sprintf("%d bytes before a %s", n, enc)}, true
			}
		}
	}
	for _, enc := range []Encoding{SizePrefixedBlock, Wrap} {
		if n := c.bytesBehind(enc, data); n > 0 {
			return resemblance{"bytes_behind", fmt.Sprintf("a %s with %d bytes behind it", enc, n)}, true
		}
	}
	return resemblance{}, false
}

// wrongLength is for a head whose lengths are not those of the block behind it.
func (c *Checker) wrongLength(data []byte) (resemblance, bool) {
	if magicOf(data) != Auto {
		return resemblance{}, false
	}
	for _, enc := range []Encoding{SizePrefixedBlock, Wrap} {
		head := 4
		if enc == Wrap {
			head = 8
		}
		if len(data) <= head {
			continue
		}
		block := data[head:]
		size, compressed := binary.LittleEndian.Uint32(data), uint32(len(block))
		if enc == Wrap {
			compressed = binary.LittleEndian.Uint32(data[4:])
		}
		s := walkSequences(block, 0, c.maxBurst())
		inner := Checker{MaxBurst: c.maxBurst(), Pinned: Block}
		switch ends := s.what == "" || s.what == cutOff; {
		case !ends || !beginsBlock(block):
		case uint32(s.size) == size && uint32(len(block)) == compressed:
		case s.what == "" && inner.Check(block, Auto).Verdict != Invalid:
			return resemblance{"wrong_length", fmt.Sprintf("a %s of %d bytes in %d whose head says %d in %d", enc, s.size, len(block), size, compressed)}, true
		case compressed > uint32(len(block)) && uint64(size) <= maxExpansion*uint64(compressed):
			return resemblance{"cut_off", fmt.Sprintf("a wrap cut off at byte %d: %d bytes are missing", len(data), compressed-uint32(len(block)))}, true
		}
	}
	return resemblance{}, false
}

// beginsBlock reports whether an LZ4 block begins with a burst.
func beginsBlock(block []byte) bool {
	b := blockPart(block, nil, 256)
	return len(b) > 8 && beginsLikeBurst(b)
}

// bytesBehind is how many bytes follow a block whose head says how long it is; 0
// if it is not so. A block of a known length ends where it has that length.
func (c *Checker) bytesBehind(enc Encoding, data []byte) int {
	head := 4
	if enc == Wrap {
		head = 8
	}
	if len(data) <= head {
		return 0
	}
	size := int(binary.LittleEndian.Uint32(data))
	end := len(data) - 1
	if enc == Wrap {
		end = min(end, head+int(binary.LittleEndian.Uint32(data[4:])))
	}
	if size == 0 || size > c.maxBurst() {
		return 0
	}
	for first := max(head+1, end-64); end >= first; end-- {
		if c.holds(data[head:end], uint64(size)) {
			return len(data) - end
		}
		if enc == Wrap {
			break
		}
	}
	return 0
}
