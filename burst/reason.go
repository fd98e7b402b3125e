package burst

import (
	"fmt"
	"iter"
	"math/bits"
	"strings"
)

// Verdict is the judgement of a message.
type Verdict uint8

const (
	// OK is a message that follows the documentation.
	OK Verdict = iota
	// Warn is a message that can be read, but goes against the documentation's
	// advice or is not fully understood.
	Warn
	// Invalid is a message that a client could not read.
	Invalid
)

// String returns `ok`, `warn` or `invalid`.
func (v Verdict) String() string {
	switch v {
	case OK:
		return "ok"
	case Warn:
		return "warn"
	case Invalid:
		return "invalid"
	}
	return fmt.Sprintf("Verdict(%d)", uint8(v))
}

// Verdicts returns all verdicts, the best first.
func Verdicts() []Verdict { return []Verdict{OK, Warn, Invalid} }

// Reason is a finding that keeps a message from being [OK]. Its text form is
// fit for a metric's label: there are few and they are constants.
type Reason uint8

// The reasons for [Warn].
const (
	// OverOneMiB is a burst longer than the documentation allows.
	OverOneMiB Reason = iota
	// UnknownField is a field number that the schema does not have: a newer
	// producer.
	UnknownField
	// EmptyStreamData is a StreamData with nothing in it.
	EmptyStreamData
	// SeveralMembers is a StreamData with more than one member of its oneof. As
	// in every protobuf implementation the last one counts.
	SeveralMembers
	// TimeRangeReversed is a time range that ends before it starts.
	TimeRangeReversed
	// SamplesUneven is sample data whose buffer does not split into the samples
	// that it says it has, or has none.
	SamplesUneven
	// FirstDeltaNotZero is timestamped data whose first sample is not at its
	// start timestamp.
	FirstDeltaNotZero
	// SessionIdentityMissing is Session JSON without an identity string.
	SessionIdentityMissing
	// SessionStateUnknown is Session JSON without a state, or with one that the
	// documentation does not have.
	SessionStateUnknown
	// OverlongVarint is a tag or a length in more bytes than the five that every
	// protobuf parser takes: .NET reads it, C++, Python and JavaScript do not.
	OverlongVarint
	// BlockEndRisky is a bare LZ4 block whose last match is so near to its end
	// that only a decoder with a larger buffer than needed reads it.
	BlockEndRisky

	firstInvalid
)

// The reasons for [Invalid].
const (
	// Empty is a message without a single byte.
	Empty Reason = firstInvalid + iota
	// Unreadable is bytes that are LZ4 data in no encoding that was tried:
	// random, truncated or damaged.
	Unreadable
	// BlockEndInvalid is the same in an encoding that gives the length: decoders
	// with a buffer of that length refuse it.
	BlockEndInvalid
	// ChecksumMismatch is an LZ4 frame whose header, block or content checksum
	// does not fit.
	ChecksumMismatch
	// TrailingBytes is something behind the end of an LZ4 frame.
	TrailingBytes
	// LegacyTrailingBytes is something behind the blocks of a legacy frame.
	LegacyTrailingBytes
	// ConcatenatedFrames is a second frame behind the first.
	ConcatenatedFrames
	// SkippableFrame is a skippable frame, before an LZ4 frame or behind it.
	SkippableFrame
	// TooLarge is a burst longer than the limit.
	TooLarge
	// NotProtobuf is bytes that no protobuf parser takes.
	NotProtobuf
	// NestedTooDeep is a burst with more than 100 groups within each other.
	NestedTooDeep
	// WrongWireType is a field of the schema with another type than the
	// schema's: another message, most likely.
	WrongWireType
	// NotUTF8 is a string field that is not UTF-8.
	NotUTF8
	// NoStreamData is a burst with no StreamData in it.
	NoStreamData
	// SessionNotJSON is Session JSON that is not JSON.
	SessionNotJSON

	reasonCount
)

var reasonNames = [reasonCount]string{
	OverOneMiB:             "over_1_mib",
	UnknownField:           "unknown_field",
	EmptyStreamData:        "empty_stream_data",
	SeveralMembers:         "several_members",
	TimeRangeReversed:      "time_range_reversed",
	SamplesUneven:          "samples_uneven",
	FirstDeltaNotZero:      "first_delta_not_zero",
	SessionIdentityMissing: "session_identity_missing",
	SessionStateUnknown:    "session_state_unknown",
	OverlongVarint:         "overlong_varint",
	BlockEndRisky:          "block_end_risky",
	Empty:                  "empty",
	Unreadable:             "unreadable",
	BlockEndInvalid:        "block_end_invalid",
	ChecksumMismatch:       "checksum_mismatch",
	TrailingBytes:          "trailing_bytes",
	LegacyTrailingBytes:    "legacy_trailing_bytes",
	ConcatenatedFrames:     "concatenated_frames",
	SkippableFrame:         "skippable_frame",
	TooLarge:               "too_large",
	NotProtobuf:            "not_protobuf",
	NestedTooDeep:          "nested_too_deep",
	WrongWireType:          "wrong_wire_type",
	NotUTF8:                "not_utf8",
	NoStreamData:           "no_stream_data",
	SessionNotJSON:         "session_not_json",
}

// String returns the reason's name in snake case.
func (r Reason) String() string {
	if r >= reasonCount {
		return fmt.Sprintf("Reason(%d)", uint8(r))
	}
	return reasonNames[r]
}

// Verdict returns what the reason makes of a message: [Warn] or [Invalid].
func (r Reason) Verdict() Verdict {
	if r < firstInvalid {
		return Warn
	}
	return Invalid
}

// AllReasons returns every reason there is.
func AllReasons() []Reason {
	all := make([]Reason, reasonCount)
	for i := range all {
		all[i] = Reason(i)
	}
	return all
}

// Reasons is a set of reasons. The zero value is the empty set.
type Reasons uint32

func (s *Reasons) add(r Reason) { *s |= 1 << r }

// Has reports whether r is in the set.
func (s Reasons) Has(r Reason) bool { return s&(1<<r) != 0 }

// All yields the reasons in the set in the order of the constants.
func (s Reasons) All() iter.Seq[Reason] {
	return func(yield func(Reason) bool) {
		for rest := uint32(s); rest != 0; rest &= rest - 1 {
			if !yield(Reason(bits.TrailingZeros32(rest))) {
				return
			}
		}
	}
}

// Strings returns the names of the reasons in the set, never nil.
func (s Reasons) Strings() []string {
	names := make([]string, 0, bits.OnesCount32(uint32(s)))
	for r := range s.All() {
		names = append(names, r.String())
	}
	return names
}

// String returns the names joined by commas.
func (s Reasons) String() string { return strings.Join(s.Strings(), ",") }

// Verdict returns the worst that a reason in the set makes of a message.
func (s Reasons) Verdict() Verdict {
	switch {
	case s == 0:
		return OK
	case s < 1<<firstInvalid:
		return Warn
	default:
		return Invalid
	}
}
