package registry

import (
	"index/suffixarray"
	"strings"
	"unicode/utf8"
)

// UnreadableOwners are the streams that entries own whose values cannot be
// read: each whose name, raw or escaped as in JSON, occurs in such a value. The
// zero value holds none. It is not safe for concurrent use.
type UnreadableOwners struct {
	kept  map[string]bool
	bytes int
	over  bool
	blind bool
	index *suffixarray.Index
}

// maxUnreadable is how many bytes of values are kept.
const maxUnreadable = 1 << 20

// Add takes in a session, which is of interest only where it cannot be read. It
// may be added again.
func (u *UnreadableOwners) Add(s Session) {
	switch {
	case s.owns == ownsAny:
		u.blind = true
	case s.owns == ownsNamed, !strings.Contains(s.value, propStream), u.kept[s.value]:
		// A value without these bytes owns nothing.
	case u.bytes+len(s.value) > maxUnreadable:
		u.over = true
	default:
		if u.kept == nil {
			u.kept = make(map[string]bool)
		}
		u.kept[strings.Clone(s.value)] = true
		u.bytes += len(s.value)
		u.index = nil
	}
}

// Overflow reports whether values could not be kept: any stream may be owned.
func (u *UnreadableOwners) Overflow() bool { return u.over }

// Blind reports whether nothing could be read where sessions lie.
func (u *UnreadableOwners) Blind() bool { return u.blind }

// MayOwn reports whether one of the values that were kept may own a stream.
// What they cost does not depend on how many streams are asked for.
func (u *UnreadableOwners) MayOwn(stream string) bool {
	if len(u.kept) == 0 {
		return false
	}
	if stream == "" {
		return true
	}
	if u.index == nil {
		var all []byte
		for value := range u.kept {
			for _, reading := range readings(value) {
				all = append(append(all, reading...), 0)
			}
		}
		u.index = suffixarray.New(all)
	}
	return len(u.index.Lookup([]byte(stream), 1)) > 0
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
