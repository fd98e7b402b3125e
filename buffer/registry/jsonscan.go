package registry

import (
	"errors"
	"math/bits"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

var errNotJSON = errors.New("not a JSON object")

// maxDepth is how deep a value may be nested; encoding/json has the same limit.
const maxDepth = 10_000

// scanObject walks the top level of a JSON object without decoding it, and
// hands each member's key, raw value and the value's index to visit. It takes
// what encoding/json takes for valid, and nothing else: after an error, nothing
// that was visited is sure. The sessions are read so, as a decoder would take
// longer than Redis needs to send them.
func scanObject(data string, visit func(key, value string, at int)) error {
	i := skipSpace(data, 0)
	if i >= len(data) || data[i] != '{' {
		return errNotJSON
	}
	if i = skipMembers(data, i+1, 1, visit); i < 0 || skipSpace(data, i) != len(data) {
		return errNotJSON
	}
	return nil
}

// skipMembers returns the index behind the object whose first member begins
// at i, or -1; visit may be nil.
func skipMembers(data string, i, depth int, visit func(key, value string, at int)) int {
	if i = skipSpace(data, i); i < len(data) && data[i] == '}' {
		return i + 1
	}
	for {
		keyAt := i
		keyEnd, escaped := skipString(data, i)
		if keyEnd < 0 {
			return -1
		}
		i = keyEnd
		if i = skipSpace(data, i); i >= len(data) || data[i] != ':' {
			return -1
		}
		valueAt := skipSpace(data, i+1)
		if i = skipValue(data, valueAt, depth); i < 0 {
			return -1
		}
		if visit != nil {
			key := data[keyAt+1 : keyEnd-1]
			if escaped {
				key, _ = unescape(key, utf8.AppendRune)
			}
			visit(key, data[valueAt:i], valueAt)
		}
		if i = skipSpace(data, i); i >= len(data) {
			return -1
		}
		switch data[i] {
		case ',':
			i = skipSpace(data, i+1)
		case '}':
			return i + 1
		default:
			return -1
		}
	}
}

func skipElements(data string, i, depth int) int {
	if i = skipSpace(data, i); i < len(data) && data[i] == ']' {
		return i + 1
	}
	for {
		if i = skipValue(data, i, depth); i < 0 {
			return -1
		}
		if i = skipSpace(data, i); i >= len(data) {
			return -1
		}
		switch data[i] {
		case ',':
			i = skipSpace(data, i+1)
		case ']':
			return i + 1
		default:
			return -1
		}
	}
}

func skipSpace(data string, i int) int {
	for i < len(data) && (data[i] == ' ' || data[i] == '\n' || data[i] == '\t' || data[i] == '\r') {
		i++
	}
	return i
}

// skipValue returns the index behind the value that begins at i, or -1; depth
// is that of what it stands in.
func skipValue(data string, i, depth int) int {
	if i >= len(data) {
		return -1
	}
	switch c := data[i]; c {
	case '"':
		end, _ := skipString(data, i)
		return end
	case '{', '[':
		if depth >= maxDepth {
			return -1
		}
		if c == '{' {
			return skipMembers(data, i+1, depth+1, nil)
		}
		return skipElements(data, i+1, depth+1)
	case 't':
		return skipWord(data, i, "true")
	case 'f':
		return skipWord(data, i, "false")
	case 'n':
		return skipWord(data, i, "null")
	}
	return skipNumber(data, i)
}

func skipWord(data string, i int, word string) int {
	if !strings.HasPrefix(data[i:], word) {
		return -1
	}
	return i + len(word)
}

func skipNumber(data string, i int) int {
	if i < len(data) && data[i] == '-' {
		i++
	}
	if i < len(data) && data[i] == '0' {
		i++
	} else if i = skipDigits(data, i); i < 0 {
		return -1
	}
	if i < len(data) && data[i] == '.' {
		if i = skipDigits(data, i+1); i < 0 {
			return -1
		}
	}
	if i < len(data) && (data[i] == 'e' || data[i] == 'E') {
		if i++; i < len(data) && (data[i] == '+' || data[i] == '-') {
			i++
		}
		return skipDigits(data, i)
	}
	return i
}

func skipDigits(data string, i int) int {
	start := i
	for i < len(data) && data[i] >= '0' && data[i] <= '9' {
		i++
	}
	if i == start {
		return -1
	}
	return i
}

// skipString returns the index behind the closing quote of the string that
// begins at i, or -1, and whether there is an escape in it.
func skipString(data string, i int) (end int, escaped bool) {
	if i >= len(data) || data[i] != '"' {
		return -1, false
	}
	for i++; i < len(data); i++ {
		i = skipPlain(data, i)
		if i >= len(data) || data[i] < ' ' {
			return -1, false
		}
		if data[i] == '"' {
			return i + 1, escaped
		}
		escaped = true
		if i++; i >= len(data) {
			return -1, false
		}
		if data[i] == 'u' {
			if _, ok := hex4(data[i-1:]); !ok {
				return -1, false
			}
			i += 4
		} else if strings.IndexByte(`"\/bfnrt`, data[i]) < 0 {
			return -1, false
		}
	}
	return -1, false
}

// skipPlain returns the index of the next byte of a string that matters, which is a
// quote, a backslash or a control character, or the length of the data. It looks at
// eight bytes at a time: the lowest bit that is set is of the first that matters.
func skipPlain(data string, i int) int {
	const ones, highs = 0x0101010101010101, 0x8080808080808080
	for ; i+8 <= len(data); i += 8 {
		b := data[i : i+8]
		x := uint64(b[0]) | uint64(b[1])<<8 | uint64(b[2])<<16 | uint64(b[3])<<24 |
			uint64(b[4])<<32 | uint64(b[5])<<40 | uint64(b[6])<<48 | uint64(b[7])<<56
		quote, slash := x^(ones*'"'), x^(ones*'\\')
		if found := ((x-ones*' ')&^x | (quote-ones)&^quote | (slash-ones)&^slash) & highs; found != 0 {
			return i + bits.TrailingZeros64(found)/8
		}
	}
	for ; i < len(data); i++ {
		if c := data[i]; c < ' ' || c == '"' || c == '\\' {
			break
		}
	}
	return i
}

// jsonString is the content of a raw JSON string, byte for byte where it has
// no escapes: a stream's name need not be UTF-8, and encoding/json would
// replace what is not.
func jsonString(raw string) (string, bool) {
	if len(raw) < 2 || raw[0] != '"' {
		return "", false
	}
	raw = raw[1 : len(raw)-1]
	if strings.IndexByte(raw, '\\') < 0 {
		return raw, true
	}
	text, ok := unescape(raw, utf8.AppendRune)
	return text, ok
}

// unescape reads the escapes of JSON in a text, and leaves what is none; it
// reports whether each was one. Half a surrogate pair is no character: half
// appends what stands for it.
func unescape(raw string, half func([]byte, rune) []byte) (text string, all bool) {
	out := make([]byte, 0, len(raw))
	all = true
	for i := 0; i < len(raw); i++ {
		if raw[i] != '\\' || i+1 == len(raw) {
			all = all && raw[i] != '\\'
			out = append(out, raw[i])
			continue
		}
		if raw[i+1] == 'u' {
			if r, used := unicodeEscape(raw[i:]); used > 0 {
				if utf16.IsSurrogate(r) {
					out = half(out, r)
				} else {
					out = utf8.AppendRune(out, r)
				}
				i += used - 1
				continue
			}
		} else if c := strings.IndexByte(`"\/bfnrt`, raw[i+1]); c >= 0 {
			out = append(out, "\"\\/\b\f\n\r\t"[c])
			i++
			continue
		}
		all = false
		out = append(out, raw[i])
	}
	return string(out), all
}

// unicodeEscape reads \uXXXX, or two of them that make one character, and
// says how many bytes that took. Half a pair is itself.
func unicodeEscape(raw string) (r rune, used int) {
	one, ok := hex4(raw)
	if !ok {
		return 0, 0
	}
	if utf16.IsSurrogate(one) {
		if two, ok := hex4(raw[6:]); ok {
			if both := utf16.DecodeRune(one, two); both != utf8.RuneError {
				return both, 12
			}
		}
	}
	return one, 6
}

func hex4(raw string) (rune, bool) {
	if len(raw) < 6 || raw[0] != '\\' || raw[1] != 'u' {
		return 0, false
	}
	for _, c := range []byte(raw[2:6]) {
		if (c < '0' || c > '9') && (c|0x20 < 'a' || c|0x20 > 'f') {
			return 0, false
		}
	}
	n, err := strconv.ParseUint(raw[2:6], 16, 32)
	return rune(n), err == nil
}

// scalar is a JSON number, string, true or false as text; null is none.
func scalar(raw string) optional {
	if strings.HasPrefix(raw, `"`) {
		text, ok := jsonString(raw)
		return optional{text, ok}
	}
	if raw == "null" {
		return optional{}
	}
	return optional{raw, true}
}

// isText reports whether a JSON value is one that can be a name, and surely is
// read as its writer meant it: half a surrogate pair is written in many ways.
func isText(raw string) bool {
	if strings.HasPrefix(raw, "{") || strings.HasPrefix(raw, "[") {
		return false
	}
	halves := false
	if strings.Contains(raw, `\u`) {
		unescape(raw, func(b []byte, _ rune) []byte { halves = true; return b })
	}
	return !halves
}
