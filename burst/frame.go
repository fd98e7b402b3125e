package burst

import "encoding/binary"

// The library reads frames too, but from an io.Reader, through pools of buffers
// as large as the largest block, and goes on to a second frame behind the first.
// Here a frame lies in memory as a whole, nothing may follow it, and its blocks
// are uncompressed in place. Section names are those of the LZ4 frame format
// description, version 1.6.

const (
	frameMagic       = 0x184D2204
	legacyFrameMagic = 0x184C2102

	// legacyBlockSize is the most that a block of a legacy frame holds.
	legacyBlockSize = 8 << 20
	// legacyBound is the most that such a block has when compressed.
	legacyBound = legacyBlockSize + legacyBlockSize/255 + 16

	// skippableMagic is the first of sixteen magic numbers of frames whose content
	// is the user's own and no data.
	skippableMagic = 0x184D2A50
	skippableMask  = 0xFFFFFFF0

	storedBlock = 1 << 31 // the bit of a block's size that says "not compressed"
)

// Bits of a frame descriptor's FLG and BD bytes.
const (
	flgVersionMask     = 0b11 << 6
	flgVersion         = 0b01 << 6
	flgIndependent     = 1 << 5
	flgBlockChecksum   = 1 << 4
	flgContentSize     = 1 << 3
	flgContentChecksum = 1 << 2
	flgReserved        = 1 << 1
	flgDictID          = 1 << 0

	bdReserved = 0b1000_1111
)

// frameDescriptor is what a frame says of its blocks.
type frameDescriptor struct {
	flg       byte
	blockSize int // most that a block holds
}

func (d frameDescriptor) has(flag byte) bool { return d.flg&flag != 0 }

// magicOf returns the frame encoding whose magic number data begins with, or
// [Auto]. None of the numbers can begin a valid message of another encoding.
func magicOf(data []byte) Encoding {
	if len(data) >= 4 {
		switch word := binary.LittleEndian.Uint32(data); {
		case word == frameMagic, word&skippableMask == skippableMagic:
			return Frame
		case word == legacyFrameMagic:
			return LegacyFrame
		}
	}
	return Auto
}

// isSkippable reports whether data begins with a skippable frame.
func isSkippable(data []byte) bool {
	return len(data) >= 4 && binary.LittleEndian.Uint32(data)&skippableMask == skippableMagic
}

// openFrame reads magic number and frame descriptor.
func (e *envelope) openFrame() fault {
	switch {
	case isSkippable(e.rest):
		return e.fails(ErrSkippable, "a skippable frame begins here")
	case magicOf(e.rest) != Frame:
		return e.fails(ErrUnreadable, "no magic number 04 22 4d 18")
	case len(e.rest) < 7:
		return fault{ErrUnreadable, e.total, cutOff}
	}
	flg, bd := e.rest[4], e.rest[5]
	end := 6 // of the descriptor, before the header checksum
	if flg&flgContentSize != 0 {
		end += 8
	}
	if flg&flgDictID != 0 {
		end += 4
	}
	if len(e.rest) <= end {
		return fault{ErrUnreadable, e.total, cutOff}
	}
	sizeCode := bd >> 4 & 7
	switch {
	case e.rest[end] != byte(xxh32(e.rest[4:end])>>8):
		return fault{ErrChecksum, end, "the checksum of the frame's head does not fit"}
	case flg&flgVersionMask != flgVersion || flg&flgReserved != 0 || bd&bdReserved != 0 || sizeCode < 4:
		return fault{ErrUnreadable, 4, "the frame's flags are not of version 1"}
	case flg&flgDictID != 0:
		return fault{ErrUnreadable, 4, "the frame needs a dictionary, which only the producer has"}
	}
	if flg&flgContentSize != 0 {
		e.sized, e.size = true, binary.LittleEndian.Uint64(e.rest[6:])
	}
	e.frame = frameDescriptor{flg: flg, blockSize: 1 << (8 + 2*sizeCode)}
	e.rest = e.rest[end+1:]
	return fault{}
}

// nextOfFrame reads one data block; the end mark is a block of size 0.
func (e *envelope) nextOfFrame() (piece, bool, fault) {
	begin := e.at()
	word, ok := e.uint32()
	if !ok {
		return piece{}, false, fault{ErrUnreadable, e.total, cutOff}
	}
	if word == 0 {
		return piece{}, false, fault{}
	}
	size := int(word &^ storedBlock)
	switch {
	case size > e.frame.blockSize:
		return piece{}, false, fault{ErrUnreadable, begin, "a block is longer than the frame's head allows: damaged"}
	case size > len(e.rest):
		return piece{}, false, fault{ErrUnreadable, e.total, cutOff}
	}
	p := piece{
		data:   e.rest[:size],
		at:     e.at(),
		stored: word&storedBlock != 0,
		linked: !e.frame.has(flgIndependent),
		limit:  e.frame.blockSize,
	}
	e.rest = e.rest[size:]
	if e.frame.has(flgBlockChecksum) {
		sumAt := e.at()
		sum, ok := e.uint32()
		if !ok {
			return piece{}, false, fault{ErrUnreadable, e.total, cutOff}
		}
		if sum != xxh32(p.data) {
			return piece{}, false, fault{ErrChecksum, sumAt, "the checksum of a block does not fit: damaged"}
		}
	}
	return p, true, fault{}
}

// closeFrame checks what follows the end mark.
func (e *envelope) closeFrame(content []byte) fault {
	if e.frame.has(flgContentChecksum) {
		sumAt := e.at()
		sum, ok := e.uint32()
		if !ok {
			return fault{ErrUnreadable, e.total, cutOff}
		}
		if sum != xxh32(content) {
			return fault{ErrChecksum, sumAt, "the checksum of the content does not fit: damaged"}
		}
	}
	if len(e.rest) > 0 {
		return e.follows(ErrTrailing)
	}
	return fault{}
}

// follows tells what it is that follows a frame.
func (e *envelope) follows(other error) fault {
	switch {
	case isSkippable(e.rest):
		return e.fails(ErrSkippable, "a skippable frame follows")
	case magicOf(e.rest) != Auto:
		return e.fails(ErrConcatenated, "a second frame begins here")
	}
	return e.fails(other, "bytes behind the end of the frame")
}

// openLegacyFrame reads the magic number, all the head that there is.
func (e *envelope) openLegacyFrame() fault {
	if magicOf(e.rest) != LegacyFrame {
		return e.fails(ErrUnreadable, "no magic number 02 21 4c 18")
	}
	e.rest = e.rest[4:]
	return fault{}
}

// nextOfLegacyFrame reads one block. There is no end mark: the frame ends with
// the message, or with what cannot be the length of a block.
func (e *envelope) nextOfLegacyFrame() (piece, bool, fault) {
	if len(e.rest) == 0 {
		return piece{}, false, fault{}
	}
	if len(e.rest) < 4 {
		if e.blocks == 0 {
			return piece{}, false, fault{ErrUnreadable, e.total, cutOff}
		}
		return piece{}, false, e.fails(ErrLegacyTrailing, "bytes behind the last block of the frame, too few for another")
	}
	switch size := binary.LittleEndian.Uint32(e.rest); {
	case e.blocks > 0 && (size == 0 || size > legacyBound):
		return piece{}, false, e.follows(ErrLegacyTrailing)
	case size == 0 || size > legacyBound:
		return piece{}, false, e.fails(ErrUnreadable, "the length of a block is none that a legacy frame can have")
	case uint64(size) > uint64(len(e.rest)-4):
		return piece{}, false, fault{ErrUnreadable, e.total, cutOff}
	default:
		e.rest = e.rest[4:]
		p := piece{data: e.rest[:size], at: e.at(), limit: legacyBlockSize}
		e.rest = e.rest[size:]
		e.blocks++
		return p, true, fault{}
	}
}

// uint32 takes a little-endian number off the rest.
func (e *envelope) uint32() (uint32, bool) {
	if len(e.rest) < 4 {
		return 0, false
	}
	n := binary.LittleEndian.Uint32(e.rest)
	e.rest = e.rest[4:]
	return n, true
}
