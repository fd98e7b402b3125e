package burst

import (
	"bytes"
	"errors"
	"math"

	"github.com/pierrec/lz4/v4"
)

// errNoRoom says that data is damaged or longer than the buffer: the decoder
// does not tell which.
var errNoRoom = errors.New("damaged, or longer than the buffer")

const (
	minMatch = 4        // least length of a match in an LZ4 block
	window   = 64 << 10 // how far back a match reaches
	// endLiterals is how many bytes at a block's end are always literals: the
	// block format's "end of block restrictions". Decoders rely on it; the
	// library's does not check it, and a block cut off behind a match would
	// otherwise pass for a shorter one.
	endLiterals = 5
)

// piece is one block of an envelope.
type piece struct {
	data   []byte
	stored bool
	linked bool // matches may reach into the pieces before
	limit  int  // most bytes it may have when uncompressed
}

// next returns the next block, false behind the last.
func (e *envelope) next() (piece, bool, error) {
	switch e.enc {
	case Frame:
		return e.nextOfFrame()
	case LegacyFrame:
		return e.nextOfLegacyFrame()
	}
	if e.ended {
		return piece{}, false, nil
	}
	e.ended = true
	return piece{data: e.rest, limit: math.MaxInt}, true, nil
}

// decode uncompresses all blocks into dst and checks what the envelope says of
// the result. It returns errNoRoom if dst may be too short.
func (e envelope) decode(dst []byte) ([]byte, error) {
	n := 0
	for {
		p, ok, err := e.next()
		if err != nil {
			return nil, err
		}
		if !ok {
			break
		}
		written, err := p.decode(dst[n:], dst[:n])
		if err != nil {
			return nil, err
		}
		n += written
	}
	if e.sized && e.size != uint64(n) {
		return nil, ErrUnreadable
	}
	if e.enc == Frame {
		return dst[:n], e.closeFrame(dst[:n])
	}
	return dst[:n], nil
}

// decode uncompresses the block to the beginning of dst; before is what the
// blocks before it hold.
func (p piece) decode(dst, before []byte) (int, error) {
	dst = dst[:min(len(dst), p.limit)]
	if p.stored {
		if len(p.data) > len(dst) {
			return 0, errNoRoom
		}
		return copy(dst, p.data), nil
	}
	if len(p.data) == 0 {
		return 0, ErrUnreadable
	}
	if !p.linked {
		before = nil
	}
	n, err := lz4.UncompressBlockWithDict(p.data, dst, before[max(0, len(before)-window):])
	if err != nil {
		return 0, errNoRoom
	}
	tail := min(n, endLiterals)
	if len(p.data) <= tail || !bytes.Equal(p.data[len(p.data)-tail:], dst[n-tail:n]) {
		return 0, ErrUnreadable
	}
	return n, nil
}

// measure returns how long the blocks are uncompressed, by their tokens alone.
func (e envelope) measure(limit int) (int, error) {
	n := 0
	for {
		p, ok, err := e.next()
		if err != nil {
			return 0, err
		}
		if !ok {
			break
		}
		length := len(p.data)
		if !p.stored {
			before := 0
			if p.linked {
				before = n
			}
			if length, err = measureBlock(p.data, before, limit-n); err != nil {
				return 0, err
			}
		}
		if length > p.limit {
			return 0, ErrUnreadable
		}
		if n += length; n > limit {
			return 0, ErrTooLarge
		}
	}
	if e.sized && e.size != uint64(n) {
		return 0, ErrUnreadable
	}
	return n, nil
}

// measureBlock walks the sequences of an LZ4 block (token, literals, match) and
// returns how many bytes they stand for, or [ErrTooLarge] as soon as they are
// more than limit. Matches may reach before bytes further back than the block.
func measureBlock(src []byte, before, limit int) (int, error) {
	i, n := 0, 0
	for i < len(src) {
		token := src[i]
		literals, at, ok := sequenceLength(src, i+1, int(token>>4))
		if !ok || literals > len(src)-at {
			return 0, ErrUnreadable
		}
		i = at + literals
		if n += literals; n > limit {
			return 0, ErrTooLarge
		}
		if i == len(src) {
			return n, nil
		}
		if len(src)-i < 2 {
			return 0, ErrUnreadable
		}
		offset := int(src[i]) | int(src[i+1])<<8
		match, at, ok := sequenceLength(src, i+2, int(token&15))
		if !ok || offset == 0 || offset > before+n {
			return 0, ErrUnreadable
		}
		i = at
		if n += match + minMatch; n > limit {
			return 0, ErrTooLarge
		}
	}
	// It ends behind a match, or is empty: piece.decode judges by its end, and
	// is to come to the same result whether it was measured before or not.
	return n, nil
}

// sequenceLength returns a length whose first four bits are in nibble and whose
// further bytes, if any, begin at i, and the index behind them.
func sequenceLength(src []byte, i, nibble int) (length, next int, ok bool) {
	if nibble < 15 {
		return nibble, i, true
	}
	for length = nibble; i < len(src); {
		more := int(src[i])
		i++
		if length += more; more != 255 {
			return length, i, true
		}
	}
	return 0, 0, false
}
