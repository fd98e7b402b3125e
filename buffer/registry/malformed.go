package registry

import (
	"index/suffixarray"
	"strings"
	"unicode/utf8"
)

// MalformedOwners are the streams that malformed entries own: each whose name,
// raw or escaped as in JSON, occurs in such a value. The zero value holds none. It
// is not safe for concurrent use.
type MalformedOwners struct {
	kept  map[string]bool
	bytes int
	over  bool
	blind bool
	index *suffixarray.Index
}

// maxKept is how many bytes of values are kept, and maxNamed of those that name
// a stream where it belongs, beside which they hardly mean another.
const (
	maxKept  = 1 << 20
	maxNamed = maxKept / 2
)

// Add takes in a session, which is of interest only if it is malformed. It may
// be added again.
func (m *MalformedOwners) Add(s *Session) {
	switch size := m.bytes + len(s.bytes); {
	case s.blind:
		m.blind = true
	case s.Malformed == nil, s.Foreign, !strings.Contains(s.bytes, propStream), m.kept[s.bytes]:
		// A value without these bytes owns nothing.
	case s.isNamed && size > maxNamed:
	case size > maxKept:
		m.over = true
	default:
		if m.kept == nil {
			m.kept = make(map[string]bool)
		}
		m.kept[strings.Clone(s.bytes)] = true
		m.bytes = size
		m.index = nil
	}
}

// Overflow reports whether values could not be kept: any stream may be owned.
func (m *MalformedOwners) Overflow() bool { return m.over }

// Blind reports whether nothing could be read where sessions lie.
func (m *MalformedOwners) Blind() bool { return m.blind }

// MayOwn reports whether one of the values that were kept may own a stream.
// What they cost does not depend on how many streams are asked for.
func (m *MalformedOwners) MayOwn(stream string) bool {
	if len(m.kept) == 0 {
		return false
	}
	if stream == "" {
		return true
	}
	if m.index == nil {
		var all []byte
		for value := range m.kept {
			for _, reading := range readings(value) {
				all = append(append(all, reading...), 0)
			}
		}
		m.index = suffixarray.New(all)
	}
	return len(m.index.Lookup([]byte(stream), 1)) > 0
}

// maxReadings is how often the escapes of a value are read: it may be encoded
// within itself.
const maxReadings = 2

// readings are a value as it stands, and with its escapes read once and again:
// whatever way a name is escaped, it stands in one of them. Half a surrogate
// pair may stand for one of two things.
func readings(value string) []string {
	all := []string{value}
	for _, half := range []func([]byte, rune) []byte{utf8.AppendRune, appendHalf} {
		halves, text := false, value
		for range maxReadings {
			next, _ := unescape(text, func(b []byte, r rune) []byte { halves = true; return half(b, r) })
			if next == text {
				break
			}
			all, text = append(all, next), next
		}
		if !halves {
			break
		}
	}
	return all
}

// appendHalf writes half a surrogate pair as if it were a character, as some
// encoders do.
func appendHalf(b []byte, r rune) []byte {
	return append(b, 0xed, 0x80|byte(r>>6)&0x3f, 0x80|byte(r)&0x3f)
}
