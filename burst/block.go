package burst

import (
	"errors"
	"math"

	"github.com/pierrec/lz4/v4"
)

// errNoRoom says that data is damaged or longer than the buffer: the decoder
// does not tell which.
var errNoRoom = errors.New("damaged, or longer than the buffer")

const window = 64 << 10 // how far back a match reaches

// piece is one block of an envelope.
type piece struct {
	data   []byte
	at     int // index of the data in the message
	stored bool
	linked bool // matches may reach into the pieces before
	limit  int  // most bytes it may have when uncompressed
}

// next returns the next block, false behind the last.
func (e *envelope) next() (piece, bool, fault) {
	switch e.enc {
	case Frame:
		return e.nextOfFrame()
	case LegacyFrame:
		return e.nextOfLegacyFrame()
	}
	if e.blocks > 0 {
		return piece{}, false, fault{}
	}
	e.blocks++
	return piece{data: e.rest, at: e.at(), limit: math.MaxInt}, true, fault{}
}

// decode uncompresses all blocks into dst and checks what the envelope says of
// the result. The fault is errNoRoom if dst may be too short.
func (u *unpacker) decode(e envelope, dst []byte) ([]byte, fault) {
	n := 0
	for {
		p, ok, f := e.next()
		if f.err != nil {
			return nil, f
		}
		if !ok {
			break
		}
		written, ok := p.decode(dst[n:], dst[:n])
		if !ok {
			return nil, fault{err: errNoRoom, at: p.at}
		}
		if !p.stored && !plainEnd(p.data, dst[:n+written]) {
			if f := u.judgeEnd(e.enc, p); f.err != nil {
				return nil, f
			}
		}
		n += written
	}
	if e.sized && e.size != uint64(n) {
		return nil, fault{err: errNoRoom, at: e.at()}
	}
	if e.enc == Frame {
		if f := e.closeFrame(dst[:n]); f.err != nil {
			return nil, f
		}
	}
	return dst[:n], fault{}
}

// decode uncompresses the block to the beginning of dst; before is what the
// blocks before it hold.
func (p piece) decode(dst, before []byte) (n int, ok bool) {
	dst = dst[:min(len(dst), p.limit)]
	if p.stored {
		return copy(dst, p.data), len(p.data) <= len(dst)
	}
	if len(p.data) == 0 {
		return 0, false
	}
	if !p.linked {
		before = nil
	}
	n, err := lz4.UncompressBlockWithDict(p.data, dst, before[max(0, len(before)-window):])
	return n, err == nil
}

// judgeEnd judges the end of a block by a walk over its tokens: what a client
// would refuse is a fault. Nothing is said of the blocks of frames as long as
// there is a decoder's buffer that takes them.
func (u *unpacker) judgeEnd(enc Encoding, p piece) fault {
	s := walkSequences(p.data, math.MaxInt, math.MaxInt)
	switch end := s.ending(len(p.data)); {
	case end == endBroken:
		return fault{ErrUnreadable, p.at + s.match.token, "the block ends too soon behind its last match: cut off or damaged"}
	case end == endFine || enc == Frame || enc == LegacyFrame:
	case enc == Block:
		u.risky = true
	default:
		return fault{ErrBlockEnd, p.at + s.match.token, "the last match begins less than 12 bytes before the end, or ends less than 5"}
	}
	return fault{}
}

// measure returns how long the blocks are uncompressed, by their tokens alone.
func (e envelope) measure(limit int) (int, fault) {
	n := 0
	for {
		p, ok, f := e.next()
		if f.err != nil {
			return 0, f
		}
		if !ok {
			break
		}
		length, f := e.measurePiece(p, n)
		if f.err != nil {
			return 0, f
		}
		n += length
	}
	switch {
	case e.sized && e.size != uint64(n):
		return 0, fault{ErrUnreadable, e.total, endsEarly}
	case n > limit:
		return 0, fault{ErrTooLarge, 0, "longer than the limit when uncompressed"}
	}
	return n, fault{}
}

// measurePiece measures one block, behind n bytes that were in those before it.
func (e *envelope) measurePiece(p piece, n int) (int, fault) {
	room, why := p.limit, "the block is longer uncompressed than the frame allows"
	if e.sized && e.size <= math.MaxInt && int(e.size)-n <= room {
		room, why = int(e.size)-n, "the data goes on although it is as long as the head says"
	}
	if p.stored {
		if len(p.data) > room {
			return 0, fault{ErrUnreadable, p.at, why}
		}
		return len(p.data), fault{}
	}
	before := 0
	if p.linked {
		before = n
	}
	s := walkSequences(p.data, before, room)
	switch {
	case s.what != "":
		return 0, fault{ErrUnreadable, p.at + s.at, s.what}
	case s.size > room:
		return 0, fault{ErrUnreadable, p.at + s.at, why}
	}
	return s.size, fault{}
}
