package burst

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// DefaultMaxBurst is the uncompressed length in bytes past which a burst is
// invalid unless told otherwise: sixteen times what the documentation allows,
// so that a producer's mistake is still shown for what it is.
const DefaultMaxBurst = 16 << 20

// Why bytes could not be unpacked.
var (
	// ErrUnreadable says that the bytes are not LZ4 data in the given encoding,
	// or that they are truncated or damaged.
	ErrUnreadable = errors.New("not LZ4 data in this encoding")
	// ErrBlockEnd says that a block whose length is known breaks the block
	// format's rules for its end: decoders that know the length refuse it.
	ErrBlockEnd = errors.New("the last match is too near to the end of the LZ4 block")
	// ErrChecksum says that a checksum of an LZ4 frame does not fit.
	ErrChecksum = errors.New("checksum of the LZ4 frame does not fit")
	// ErrTrailing says that something follows an LZ4 frame.
	ErrTrailing = errors.New("bytes after the end of the LZ4 frame")
	// ErrLegacyTrailing says that something follows the blocks of a legacy frame.
	ErrLegacyTrailing = errors.New("bytes after the end of the legacy LZ4 frame")
	// ErrConcatenated says that a second frame follows the first.
	ErrConcatenated = errors.New("a second frame after the LZ4 frame")
	// ErrSkippable says that there is a skippable frame, which holds no data.
	ErrSkippable = errors.New("a skippable LZ4 frame")
	// ErrTooLarge says that the data is longer than the limit when uncompressed.
	ErrTooLarge = errors.New("uncompressed data exceeds the limit")
)

// Unpack returns what data holds in the given encoding, which must not be
// [Auto]. The result has at most limit bytes and may share memory with data.
// The error is one of those above, and says where the fault is.
func Unpack(enc Encoding, data []byte, limit int) ([]byte, error) {
	var u unpacker
	out, f := u.unpack(enc, data, limit)
	if f.err != nil {
		return nil, fmt.Errorf("%w: byte %d: %s", f.err, f.at, f.what)
	}
	return out, nil
}

// fault says why a message cannot be unpacked, at which of its bytes, and what
// is wrong there. The zero value is no fault. It allocates nothing.
type fault struct {
	err  error
	at   int
	what string
}

// What a fault says where the message ends too early.
const (
	cutOff    = "the message ends here: cut off"
	endsEarly = "the message ends before the data is as long as its head says: cut off"
)

const (
	// keepBuffer is the largest buffer that an unpacker holds on to: ample for
	// what the documentation allows, little for what it does not.
	keepBuffer = 2 << 20
	// bufferStep rounds buffers up, so that a stream of bursts of about the same
	// length soon needs no new one.
	bufferStep = 64 << 10
	// maxExpansion is the most bytes that one byte of an LZ4 block stands for.
	maxExpansion = 255
)

// unpacker unpacks message after message into one buffer.
type unpacker struct {
	buf []byte
	// risky says of the last message that only a decoder with a larger buffer
	// than needed reads it.
	risky bool
}

// unpack is [Unpack] with a result that is good until the next call.
//
// A buffer that was long enough for the last message is likely to do for this
// one, so decompression is tried first. Only if it fails are the compressed
// bytes walked: that tells damaged data, which the decoder cannot, where the
// damage is, and the length that a new buffer must have.
func (u *unpacker) unpack(enc Encoding, data []byte, limit int) ([]byte, fault) {
	u.risky = false
	env, f := open(enc, data)
	switch {
	case f.err != nil:
		return nil, f
	case env.stored && len(env.rest) > limit:
		return nil, fault{ErrTooLarge, env.at(), "stored, and longer than the limit"}
	case env.stored:
		return env.rest, fault{}
	}
	room := u.buf[:min(cap(u.buf), limit)]
	if len(room) > 0 && (!env.sized || env.size <= uint64(len(room))) {
		if env.sized {
			room = room[:env.size]
		}
		out, f := u.decode(env, room)
		if !errors.Is(f.err, errNoRoom) {
			return out, f
		}
	}
	size, f := env.measure(limit)
	if f.err != nil {
		return nil, f
	}
	out, f := u.decode(env, u.grow(size, limit))
	if errors.Is(f.err, errNoRoom) {
		f = fault{ErrUnreadable, f.at, "damaged"}
	}
	return out, f
}

// grow returns a buffer of size bytes. It is taken a little larger than that.
func (u *unpacker) grow(size, limit int) []byte {
	if size > cap(u.buf) || u.buf == nil {
		u.buf = nil // never two at a time
		steps := (size + size/8 + bufferStep) / bufferStep
		u.buf = make([]byte, max(size, min(steps*bufferStep, limit), 1))
	}
	return u.buf[:size]
}

// trim lets go of a buffer that an uncommonly large burst has needed.
func (u *unpacker) trim() {
	if cap(u.buf) > keepBuffer {
		u.buf = nil
	}
}

// envelope is what surrounds the LZ4 blocks of a message.
type envelope struct {
	enc    Encoding
	total  int    // bytes of the message
	rest   []byte // what is not yet read
	stored bool   // the rest is the data itself
	sized  bool   // size is known: the envelope claims it
	size   uint64
	frame  frameDescriptor // of a Frame
	// blocks is how many have been read.
	blocks int
}

// at is the index of the rest in the message.
func (e *envelope) at() int { return e.total - len(e.rest) }

// fails is a fault where the rest begins.
func (e *envelope) fails(err error, what string) fault { return fault{err, e.at(), what} }

// open reads the envelope's head.
func open(enc Encoding, data []byte) (envelope, fault) {
	env := envelope{enc: enc, rest: data, total: len(data)}
	var f fault
	switch enc {
	case Frame:
		f = env.openFrame()
	case LegacyFrame:
		f = env.openLegacyFrame()
	case Pickle:
		f = env.openPickle()
	case SizePrefixedBlock:
		f = env.openSizePrefixed()
	case Wrap:
		f = env.openWrap()
	case Block:
	default:
		f = env.fails(ErrUnreadable, "not an encoding")
	}
	return env, f
}

// openPickle reads K4os LZ4Pickler's head: a byte with the version in the low
// three bits (0), nothing in the next three, and in the top two the length of
// the difference that follows, where 3 stands for 4 bytes. The difference is
// uncompressed minus compressed length; 0 means stored.
func (e *envelope) openPickle() fault {
	switch {
	case len(e.rest) == 0:
		return e.fails(ErrUnreadable, cutOff)
	case e.rest[0]&7 != 0:
		return e.fails(ErrUnreadable, "the version in the first byte is not 0")
	case e.rest[0]&0x3f != 0:
		return e.fails(ErrUnreadable, "bits 3 to 5 of the first byte are not 0")
	}
	width := int(e.rest[0] >> 6)
	if width == 3 {
		width = 4
	}
	if len(e.rest) < 1+width {
		return fault{ErrUnreadable, e.total, cutOff}
	}
	var difference [8]byte
	copy(difference[:], e.rest[1:1+width])
	e.rest = e.rest[1+width:]
	e.sized, e.size = true, uint64(len(e.rest))+binary.LittleEndian.Uint64(difference[:])
	e.stored = e.size == uint64(len(e.rest))
	return e.checkClaim()
}

func (e *envelope) openSizePrefixed() fault {
	if len(e.rest) < 4 {
		return fault{ErrUnreadable, e.total, cutOff}
	}
	e.sized, e.size = true, uint64(binary.LittleEndian.Uint32(e.rest))
	e.rest = e.rest[4:]
	return e.checkClaim()
}

// openWrap reads lz4net's head: uncompressed and compressed length, where
// equality means stored. The compressed length is that of all the rest.
func (e *envelope) openWrap() fault {
	if len(e.rest) < 8 {
		return fault{ErrUnreadable, e.total, cutOff}
	}
	e.sized, e.size = true, uint64(binary.LittleEndian.Uint32(e.rest))
	compressed := uint64(binary.LittleEndian.Uint32(e.rest[4:]))
	switch left := uint64(len(e.rest) - 8); {
	case compressed < left:
		return fault{ErrUnreadable, 4, "the compressed length in the head is less than what follows"}
	case compressed > left:
		return fault{ErrUnreadable, 4, "the compressed length in the head is more than what follows"}
	}
	e.rest = e.rest[8:]
	e.stored = e.size == uint64(len(e.rest))
	return e.checkClaim()
}

// checkClaim refuses a length that no block of so many bytes can have.
func (e *envelope) checkClaim() fault {
	if e.size > maxExpansion*uint64(len(e.rest)) {
		return fault{ErrUnreadable, 0, "the length in the head is more than the block can hold"}
	}
	return fault{}
}
