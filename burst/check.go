package burst

import (
	"errors"
	"iter"
	"math"

	"google.golang.org/protobuf/encoding/protowire"
)

// Limits of the RTA documentation, in bytes before compression.
const (
	// AimedBurst is about what a burst should have.
	AimedBurst = 64 << 10
	// AllowedBurst is what a burst must not exceed; one that does gets
	// [OverOneMiB].
	AllowedBurst = 1 << 20
)

// Result is the judgement of one message.
type Result struct {
	Verdict Verdict
	Reasons Reasons
	// Encoding is how the message was packed, Auto if it is Invalid.
	Encoding Encoding
	// Compressed is the length of the message in bytes.
	Compressed int
	// Size is the length of the burst before compression in bytes, 0 if the
	// message is Invalid.
	Size int
	// Kinds counts the StreamData of each Kind, none if the message is Invalid.
	Kinds [kindCount]int
}

// KindCounts yields the kinds that the burst has, and how many StreamData of
// each.
func (r Result) KindCounts() iter.Seq2[Kind, int] {
	return func(yield func(Kind, int) bool) {
		for kind, n := range r.Kinds {
			if n > 0 && !yield(Kind(kind), n) {
				return
			}
		}
	}
}

// Checker judges messages. It keeps its buffers from one message to the next,
// so it must not be used by several goroutines at once; one Checker for all
// streams is as good as one for each. The zero value is ready to use.
type Checker struct {
	// MaxBurst is the length in bytes past which an uncompressed burst is
	// invalid; 0 means [DefaultMaxBurst].
	MaxBurst int
	// Pinned is the only encoding to try, unless it is [Auto].
	Pinned Encoding

	unpacker unpacker
	// walk and fault are of the last reading.
	walk  walk
	fault fault
}

// Check judges the `data` field of a message. The hint is the encoding in which
// earlier messages of the same stream were packed, or [Auto]: it is tried first.
//
// A frame's magic number settles the encoding. Otherwise every encoding is
// tried until one makes the message [OK]; failing that, the first counts that
// makes it [Warn]. In the steady state Check allocates nothing.
func (c *Checker) Check(data []byte, hint Encoding) Result {
	defer c.unpacker.trim()
	var best reading
	if len(data) == 0 {
		best.Reasons.add(Empty)
		best.Verdict = Invalid
		return best.Result
	}
	order, n := c.order(data, hint)
	for _, enc := range order[:n] {
		if r := c.read(enc, data); r.rank > best.rank {
			best = r
		}
		if best.rank == readOK {
			break
		}
	}
	return best.Result
}

// order returns the encodings to try, in order, and how many they are.
func (c *Checker) order(data []byte, hint Encoding) (order [5]Encoding, n int) {
	if c.Pinned != Auto {
		return [5]Encoding{c.Pinned}, 1
	}
	if magic := magicOf(data); magic != Auto {
		return [5]Encoding{magic}, 1
	}
	if hint >= Pickle && hint <= Block {
		order[0], n = hint, 1
	}
	for enc := Pickle; enc <= Block; enc++ {
		if enc != hint {
			order[n] = enc
			n++
		}
	}
	return order, n
}

// rank is how far the reading of a message in one encoding got.
type rank uint8

const (
	notRead    rank = iota
	unreadable      // not LZ4 data in this encoding
	rejected        // LZ4 data, but damaged or too large
	readInvalid
	readWarn
	readOK
)

// reading is the outcome of one encoding.
type reading struct {
	Result
	rank rank
}

// read judges data as packed in one encoding. What it says more of the burst is
// in c.walk, and of what is no LZ4 data in c.fault, until the next reading.
func (c *Checker) read(enc Encoding, data []byte) reading {
	r := reading{Result: Result{Compressed: len(data)}}
	var b []byte
	b, c.fault = c.unpacker.unpack(enc, data, c.maxBurst())
	if c.fault.err != nil {
		reason := reasonOf(c.fault.err)
		r.Reasons.add(reason)
		r.Verdict, r.rank = Invalid, rejected
		if reason == Unreadable {
			r.rank = unreadable
		}
		return r
	}
	var w walk
	if len(b) > AllowedBurst {
		w.note(OverOneMiB, 0)
	}
	if c.unpacker.risky {
		w.note(BlockEndRisky, 0)
	}
	w.burst(b)
	r.Reasons, r.Verdict = w.reasons, w.reasons.Verdict()
	if r.Verdict != OK {
		c.walk = w
	}
	if r.Verdict == Invalid {
		r.rank = readInvalid
		if enc == Pickle && c.Pinned == Auto && isGuess(data, b) {
			r.Reasons, r.rank = 0, unreadable
			r.Reasons.add(Unreadable)
			c.fault = fault{ErrUnreadable, 0, "stored, by the first byte, and what follows does not begin like a burst"}
		}
		return r
	}
	r.Encoding, r.Size, r.Kinds = enc, len(b), w.kinds
	r.rank = readWarn
	if r.Verdict == OK {
		r.rank = readOK
	}
	return r
}

// isGuess reports whether a pickle is one by its first byte alone: any message
// that begins with 00 passes for a stored one, whatever it is. It is more than a
// guess if what is stored begins like a burst.
func isGuess(data, stored []byte) bool {
	return data[0] == 0 && len(stored) > 0 && !beginsLikeBurst(stored)
}

// beginsLikeBurst reports whether bytes begin with a StreamData and a member of
// it, the lengths of which go together. Where the data was cut off, they may
// reach past its end.
func beginsLikeBurst(b []byte) bool {
	if b[0] != dataField<<3|byte(wireBytes) {
		return false
	}
	outer, n := protowire.ConsumeVarint(b[1:])
	if n < 0 || len(b) <= 1+n {
		return n == len(b)-1 // cut off just there
	}
	tag := uint64(b[1+n])
	if member := tag >> 3; tag&7 != wireBytes || member < firstMember || member > lastMember {
		return outer == 0
	}
	inner, m := protowire.ConsumeVarint(b[2+n:])
	head := uint64(1 + m)
	return m > 0 && inner <= outer && outer-inner >= head && outer < math.MaxInt32
}

func (c *Checker) maxBurst() int {
	if c.MaxBurst > 0 {
		return c.MaxBurst
	}
	return DefaultMaxBurst
}

// reasonOf returns the reason that an error of unpack stands for.
func reasonOf(err error) Reason {
	switch {
	case errors.Is(err, ErrChecksum):
		return ChecksumMismatch
	case errors.Is(err, ErrTrailing):
		return TrailingBytes
	case errors.Is(err, ErrTooLarge):
		return TooLarge
	case errors.Is(err, ErrBlockEnd):
		return BlockEndInvalid
	case errors.Is(err, ErrLegacyTrailing):
		return LegacyTrailingBytes
	case errors.Is(err, ErrConcatenated):
		return ConcatenatedFrames
	case errors.Is(err, ErrSkippable):
		return SkippableFrame
	default:
		return Unreadable
	}
}
