package burst

import (
	"bytes"
	"encoding/binary"
)

// The LZ4 block format's "end of block restrictions", as liblz4 enforces them.
const (
	minMatch = 4 // least length of a match
	// endLiterals is how many bytes at a block's end are always literals, and
	// endMatch how far before the end the last match begins at the latest. They
	// count from the end of the decoder's buffer: one that is larger than needed
	// reads blocks that break them.
	endLiterals = 5
	endMatch    = 12
	// endInput is how many compressed bytes follow the literals before a match,
	// and endExtended how many follow the length of a long one. These hold
	// whatever the buffer is.
	endInput    = 8
	endExtended = 4
)

// sequences is what a walk over the tokens of an LZ4 block found.
type sequences struct {
	// size is how many bytes the block stands for.
	size int
	// at is the index at which the walk ended early, because of what, or because
	// the size is more than there is room for.
	at   int
	what string
	// match is the last one.
	match lastMatch
}

// lastMatch is where the last match of a block lies: indexes of its token, of
// its offset, and of what follows it; and of its bytes when uncompressed.
type lastMatch struct {
	found                bool
	token, offset, after int
	start, end           int
}

// walkSequences walks the sequences of an LZ4 block (token, literals, match)
// until they stand for more than room. Matches may reach before bytes further
// back than the block.
func walkSequences(src []byte, before, room int) (s sequences) {
	fail := func(at int, what string) sequences {
		s.at, s.what = at, what
		return s
	}
	if len(src) == 0 {
		return fail(0, "there is no block")
	}
	for i := 0; i < len(src); {
		token := i
		literals, at, ok := sequenceLength(src, i+1, int(src[i]>>4))
		if !ok || literals > len(src)-at {
			return fail(len(src), cutOff)
		}
		i = at + literals
		if s.size += literals; s.size > room {
			s.at = token
			return s
		}
		if i == len(src) {
			return s
		}
		if len(src)-i < 2 {
			return fail(len(src), cutOff)
		}
		offset := int(src[i]) | int(src[i+1])<<8
		if offset == 0 {
			return fail(i, "a match with the offset 0: damaged")
		}
		if offset > s.size && offset-s.size > before {
			return fail(i, "a match reaches back to before the beginning: damaged")
		}
		match, after, ok := sequenceLength(src, i+2, int(src[token]&15))
		if !ok {
			return fail(len(src), cutOff)
		}
		s.match = lastMatch{true, token, i, after, s.size, s.size + match + minMatch}
		if i, s.size = after, s.match.end; s.size > room {
			s.at = token
			return s
		}
	}
	return s // it ends with a match: see ending
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

// ending is what clients make of the end of a block.
type ending uint8

const (
	endFine   ending = iota
	endRisky         // liblz4 reads it into a buffer that is larger than needed
	endBroken        // liblz4 refuses it
)

// ending judges the end of a block of so many bytes that was walked to its end.
func (s sequences) ending(length int) ending {
	m := s.match
	switch {
	case !m.found:
		return endFine
	case length-m.offset < endInput, m.after > m.offset+2 && length-m.after < endExtended:
		return endBroken
	case m.start > s.size-endMatch, m.end > s.size-endLiterals:
		return endRisky
	}
	return endFine
}

// plainEnd reports whether a block surely ends as it should. out ends with what
// it holds when uncompressed. A walk over the tokens would take a third of the
// time of a check, so this looks at the last bytes only: for each place where
// the last token could be if it is too near to the end, whether the match before
// it could be there. If so, which is rare, the walk must decide.
func plainEnd(src, out []byte) bool {
	const far = 16 // as many bytes as are looked at
	if len(src) < far || len(out) < far {
		return false
	}
	if !bytes.Equal(src[len(src)-endLiterals:], out[len(out)-endLiterals:]) {
		return false
	}
	for literals := -1; literals < endMatch-minMatch; literals++ { // -1: no token behind the match
		at := len(src) - 1 - literals
		if literals >= 0 && int(src[at]>>4) != literals {
			continue
		}
		if hasMatch(out[:len(out)-max(literals, 0)], src[at-2:]) {
			return false
		}
		if literals < endLiterals { // a long match, too
			if src[at-1] != 255 && (src[at-2] == 255 || hasMatch(out[:len(out)-max(literals, 0)], src[at-3:])) {
				return false
			}
		}
	}
	return true
}

// hasMatch reports whether the end of out could be a match with the offset that
// field begins with.
func hasMatch(out, field []byte) bool {
	offset, start := int(binary.LittleEndian.Uint16(field)), len(out)-minMatch
	return offset != 0 && offset <= start &&
		binary.LittleEndian.Uint32(out[start:]) == binary.LittleEndian.Uint32(out[start-offset:])
}
