package burst

import (
	"encoding/binary"
	"errors"
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
	// ErrChecksum says that a checksum of an LZ4 frame does not fit.
	ErrChecksum = errors.New("checksum of the LZ4 frame does not fit")
	// ErrTrailing says that something follows an LZ4 frame.
	ErrTrailing = errors.New("bytes after the end of the LZ4 frame")
	// ErrTooLarge says that the data is longer than the limit when uncompressed.
	ErrTooLarge = errors.New("uncompressed data exceeds the limit")
)

// Unpack returns what data holds in the given encoding, which must not be
// [Auto]. The result has at most limit bytes and may share memory with data.
// The error is one of [ErrUnreadable], [ErrChecksum], [ErrTrailing] and
// [ErrTooLarge].
func Unpack(enc Encoding, data []byte, limit int) ([]byte, error) {
	var u unpacker
	return u.unpack(enc, data, limit)
}

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
type unpacker struct{ buf []byte }

// unpack is [Unpack] with a result that is good until the next call.
//
// A buffer that was long enough for the last message is likely to do for this
// one, so decompression is tried first. Only if it fails are the compressed
// bytes walked: that tells damaged data, which the decoder cannot, and the
// length that a new buffer must have.
func (u *unpacker) unpack(enc Encoding, data []byte, limit int) ([]byte, error) {
	env, err := open(enc, data)
	switch {
	case err != nil:
		return nil, err
	case env.sized && env.size > maxExpansion*uint64(len(env.rest)):
		return nil, ErrUnreadable
	case env.sized && env.size > uint64(limit), env.stored && len(env.rest) > limit:
		return nil, ErrTooLarge
	case env.stored:
		return env.rest, nil
	}
	room := u.buf[:min(cap(u.buf), limit)]
	if len(room) > 0 && (!env.sized || env.size <= uint64(len(room))) {
		if env.sized {
			room = room[:env.size]
		}
		out, err := env.decode(room)
		if !errors.Is(err, errNoRoom) {
			return out, err
		}
	}
	size, err := env.measure(limit)
	if err != nil {
		return nil, err
	}
	out, err := env.decode(u.grow(size, limit))
	if errors.Is(err, errNoRoom) {
		err = ErrUnreadable
	}
	return out, err
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
	rest   []byte // what is not yet read
	stored bool   // the rest is the data itself
	sized  bool   // size is known: the envelope claims it
	size   uint64
	frame  frameDescriptor // of a Frame
	ended  bool            // the only block of another encoding has been read
}

// open reads the envelope's head.
func open(enc Encoding, data []byte) (envelope, error) {
	env := envelope{enc: enc, rest: data}
	var err error
	switch enc {
	case Frame:
		err = env.openFrame()
	case LegacyFrame:
		err = env.openLegacyFrame()
	case Pickle:
		err = env.openPickle()
	case SizePrefixedBlock:
		err = env.openSizePrefixed()
	case Wrap:
		err = env.openWrap()
	case Block:
	default:
		err = ErrUnreadable
	}
	return env, err
}

// openPickle reads K4os LZ4Pickler's head: a byte with the version in the low
// three bits (0), nothing in the next three, and in the top two the length of
// the difference that follows, where 3 stands for 4 bytes. The difference is
// uncompressed minus compressed length; 0 means stored.
func (e *envelope) openPickle() error {
	if len(e.rest) == 0 || e.rest[0]&0x3f != 0 {
		return ErrUnreadable
	}
	width := int(e.rest[0] >> 6)
	if width == 3 {
		width = 4
	}
	if len(e.rest) < 1+width {
		return ErrUnreadable
	}
	var difference [8]byte
	copy(difference[:], e.rest[1:1+width])
	e.rest = e.rest[1+width:]
	e.sized, e.size = true, uint64(len(e.rest))+binary.LittleEndian.Uint64(difference[:])
	e.stored = e.size == uint64(len(e.rest))
	return nil
}

func (e *envelope) openSizePrefixed() error {
	if len(e.rest) < 4 {
		return ErrUnreadable
	}
	e.sized, e.size = true, uint64(binary.LittleEndian.Uint32(e.rest))
	e.rest = e.rest[4:]
	return nil
}

// openWrap reads lz4net's head: uncompressed and compressed length, where
// equality means stored. The compressed length is that of all the rest.
func (e *envelope) openWrap() error {
	if len(e.rest) < 8 || uint64(binary.LittleEndian.Uint32(e.rest[4:])) != uint64(len(e.rest)-8) {
		return ErrUnreadable
	}
	e.sized, e.size = true, uint64(binary.LittleEndian.Uint32(e.rest))
	e.rest = e.rest[8:]
	e.stored = e.size == uint64(len(e.rest))
	return nil
}
