package burst

import (
	"encoding/binary"
	"math/bits"
)

// A reader of JSON (RFC 8259) that accepts what [encoding/json.Valid] accepts
// and allocates nothing. Its functions take an index and return the one behind
// what they read, or -1 if that is not JSON. The bytes are known to be UTF-8.

// maxNesting is how deep objects and arrays may lie within each other: the
// limit of encoding/json.
const maxNesting = 10000

// jsonSpace skips white space.
func jsonSpace(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\n' || b[i] == '\r' || b[i] == '\t') {
		i++
	}
	return i
}

// jsonValue reads the value at i, which lies in depth objects and arrays.
func jsonValue(b []byte, i, depth int) int {
	if i >= len(b) {
		return -1
	}
	switch b[i] {
	case '"':
		return jsonString(b, i)
	case '{':
		return jsonObject(b, i, depth+1, nil)
	case '[':
		return jsonArray(b, i, depth+1)
	case 't':
		return jsonLiteral(b, i, "true")
	case 'f':
		return jsonLiteral(b, i, "false")
	case 'n':
		return jsonLiteral(b, i, "null")
	default:
		return jsonNumber(b, i)
	}
}

// jsonObject reads an object and, if members is given, notes its members there.
func jsonObject(b []byte, i, depth int, members *sessionMembers) int {
	if depth > maxNesting {
		return -1
	}
	i = jsonSpace(b, i+1)
	if i < len(b) && b[i] == '}' {
		return i + 1
	}
	for {
		if i >= len(b) || b[i] != '"' {
			return -1
		}
		keyAt := i
		if i = jsonString(b, i); i < 0 {
			return -1
		}
		key := b[keyAt:i]
		if i = jsonSpace(b, i); i >= len(b) || b[i] != ':' {
			return -1
		}
		i = jsonSpace(b, i+1)
		valueAt := i
		if i = jsonValue(b, i, depth); i < 0 {
			return -1
		}
		if members != nil {
			members.note(key, b[valueAt:i], valueAt)
		}
		if i = jsonSpace(b, i); i >= len(b) {
			return -1
		}
		switch b[i] {
		case ',':
			i = jsonSpace(b, i+1)
		case '}':
			return i + 1
		default:
			return -1
		}
	}
}

func jsonArray(b []byte, i, depth int) int {
	if depth > maxNesting {
		return -1
	}
	i = jsonSpace(b, i+1)
	if i < len(b) && b[i] == ']' {
		return i + 1
	}
	for {
		if i = jsonValue(b, i, depth); i < 0 {
			return -1
		}
		if i = jsonSpace(b, i); i >= len(b) {
			return -1
		}
		switch b[i] {
		case ',':
			i = jsonSpace(b, i+1)
		case ']':
			return i + 1
		default:
			return -1
		}
	}
}

// jsonString reads a string, quotes included, eight bytes at a time where
// nothing in them is special.
func jsonString(b []byte, i int) int {
	for i++; ; i++ {
		for len(b)-i >= 8 {
			special := jsonSpecial(binary.LittleEndian.Uint64(b[i:]))
			if special != 0 {
				i += bits.TrailingZeros64(special) / 8
				break
			}
			i += 8
		}
		if i >= len(b) {
			return -1
		}
		switch c := b[i]; {
		case c == '"':
			return i + 1
		case c < ' ':
			return -1
		case c == '\\':
			if i = jsonEscape(b, i+1); i < 0 {
				return -1
			}
		}
	}
}

// jsonSpecial marks the bytes of x at which a string may end or an escape may
// begin, and control characters; the lowest mark is exact. It is the well-known
// test for a byte below a bound, which holds for bytes under 0x80.
func jsonSpecial(x uint64) uint64 {
	const ones, highs = 0x0101010101010101, 0x8080808080808080
	quote, backslash := x^ones*'"', x^ones*'\\'
	return ((quote - ones) | (backslash - ones) | (x - ones*' ')) &^ x & highs
}

// jsonEscape reads what follows a backslash and returns the index of its last
// byte.
func jsonEscape(b []byte, i int) int {
	if i >= len(b) {
		return -1
	}
	switch b[i] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return i
	case 'u':
		if len(b)-i < 5 {
			return -1
		}
		for _, c := range b[i+1 : i+5] {
			if !('0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'f') {
				return -1
			}
		}
		return i + 4
	}
	return -1
}

func jsonLiteral(b []byte, i int, literal string) int {
	if len(b)-i < len(literal) || string(b[i:i+len(literal)]) != literal {
		return -1
	}
	return i + len(literal)
}

func jsonNumber(b []byte, i int) int {
	if i < len(b) && b[i] == '-' {
		i++
	}
	if i < len(b) && b[i] == '0' {
		i++
	} else if i = jsonDigits(b, i); i < 0 {
		return -1
	}
	if i < len(b) && b[i] == '.' {
		if i = jsonDigits(b, i+1); i < 0 {
			return -1
		}
	}
	if i < len(b) && b[i]|0x20 == 'e' {
		i++
		if i < len(b) && (b[i] == '+' || b[i] == '-') {
			i++
		}
		return jsonDigits(b, i)
	}
	return i
}

// jsonDigits reads one digit or more.
func jsonDigits(b []byte, i int) int {
	start := i
	for i < len(b) && b[i]-'0' <= 9 {
		i++
	}
	if i == start {
		return -1
	}
	return i
}
