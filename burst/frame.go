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
// [Auto]. Neither number can begin a valid message of another encoding.
func magicOf(data []byte) Encoding {
	if len(data) >= 4 {
		switch binary.LittleEndian.Uint32(data) {
		case frameMagic:
			return Frame
		case legacyFrameMagic:
			return LegacyFrame
		}
	}
	return Auto
}

// openFrame reads magic number and frame descriptor.
func (e *envelope) openFrame() error {
	if magicOf(e.rest) != Frame || len(e.rest) < 7 {
		return ErrUnreadable
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
		return ErrUnreadable
	}
	if e.rest[end] != byte(xxh32(e.rest[4:end])>>8) {
		return ErrChecksum
	}
	sizeCode := bd >> 4 & 7
	if flg&flgVersionMask != flgVersion || flg&flgReserved != 0 || bd&bdReserved != 0 || sizeCode < 4 {
		return ErrUnreadable
	}
	if flg&flgDictID != 0 {
		return ErrUnreadable // nobody but the producer has the dictionary
	}
	if flg&flgContentSize != 0 {
		e.sized, e.size = true, binary.LittleEndian.Uint64(e.rest[6:])
	}
	e.frame = frameDescriptor{flg: flg, blockSize: 1 << (8 + 2*sizeCode)}
	e.rest = e.rest[end+1:]
	return nil
}

// nextOfFrame reads one data block; the end mark is a block of size 0.
func (e *envelope) nextOfFrame() (piece, bool, error) {
	word, ok := e.uint32()
	if !ok {
		return piece{}, false, ErrUnreadable
	}
	if word == 0 {
		return piece{}, false, nil
	}
	size := int(word &^ storedBlock)
	if size > e.frame.blockSize || size > len(e.rest) {
		return piece{}, false, ErrUnreadable
	}
	p := piece{
		data:   e.rest[:size],
		stored: word&storedBlock != 0,
		linked: !e.frame.has(flgIndependent),
		limit:  e.frame.blockSize,
	}
	e.rest = e.rest[size:]
	if e.frame.has(flgBlockChecksum) {
		sum, ok := e.uint32()
		if !ok {
			return piece{}, false, ErrUnreadable
		}
		if sum != xxh32(p.data) {
			return piece{}, false, ErrChecksum
		}
	}
	return p, true, nil
}

// closeFrame checks what follows the end mark.
func (e *envelope) closeFrame(content []byte) error {
	if e.frame.has(flgContentChecksum) {
		sum, ok := e.uint32()
		if !ok {
			return ErrUnreadable
		}
		if sum != xxh32(content) {
			return ErrChecksum
		}
	}
	if len(e.rest) > 0 {
		return ErrTrailing
	}
	return nil
}

// openLegacyFrame reads the magic number, all the head that there is.
func (e *envelope) openLegacyFrame() error {
	if magicOf(e.rest) != LegacyFrame {
		return ErrUnreadable
	}
	e.rest = e.rest[4:]
	return nil
}

// nextOfLegacyFrame reads one block. There is no end mark: the frame ends with
// the message, and a second magic number is too large for a block's size.
func (e *envelope) nextOfLegacyFrame() (piece, bool, error) {
	if len(e.rest) == 0 {
		return piece{}, false, nil
	}
	size, ok := e.uint32()
	if !ok || uint64(size) > uint64(len(e.rest)) {
		return piece{}, false, ErrUnreadable
	}
	p := piece{data: e.rest[:size], limit: legacyBlockSize}
	e.rest = e.rest[size:]
	return p, true, nil
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
