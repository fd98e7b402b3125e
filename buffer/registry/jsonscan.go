package registry

import (
	"errors"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

var errNotJSON = errors.New("not a JSON object")

// scanObject walks the top level of a JSON object without decoding it, and
// hands each member's key, raw value and the value's index to visit. It takes
// every valid object, and looks into a nested value only as far as is needed to
// find its end; what follows the object must be white space. The session registry is scanned so,
// where a decoder would take three times as long as Redis needs to send it.
func scanObject(data string, visit func(key, value string, at int)) error {
	i := skipSpace(data, 0)
	if i >= len(data) || data[i] != '{' {
		return errNotJSON
	}
	if i = skipSpace(data, i+1); i < len(data) && data[i] == '}' {
		return onlySpace(data, i+1)
	}
	for {
		keyEnd := skipString(data, i)
		if keyEnd < 0 {
			return errNotJSON
		}
		key, ok := jsonString(data[i:keyEnd])
		if i = skipSpace(data, keyEnd); !ok || i >= len(data) || data[i] != ':' {
			return errNotJSON
		}
		i = skipSpace(data, i+1)
		end := skipValue(data, i)
		if end < 0 {
			return errNotJSON
		}
		visit(key, data[i:end], i)
		if i = skipSpace(data, end); i >= len(data) {
			return errNotJSON
		}
		switch data[i] {
		case ',':
			i = skipSpace(data, i+1)
		case '}':
			return onlySpace(data, i+1)
		default:
			return errNotJSON
		}
	}
}

func onlySpace(data string, i int) error {
	if skipSpace(data, i) != len(data) {
		return errNotJSON
	}
	return nil
}

func skipSpace(data string, i int) int {
	for i < len(data) && (data[i] == ' ' || data[i] == '\n' || data[i] == '\t' || data[i] == '\r') {
		i++
	}
	return i
}

// skipString returns the index behind the closing quote of the string that
// begins at i, or -1.
func skipString(data string, i int) int {
	if i >= len(data) || data[i] != '"' {
		return -1
	}
	start := i + 1
	for i = start; ; {
		quote := strings.IndexByte(data[i:], '"')
		if quote < 0 {
			return -1
		}
		// A quote behind an odd number of backslashes is escaped.
		i += quote + 1
		slashes := 0
		for k := i - 2; k >= start && data[k] == '\\'; k-- {
			slashes++
		}
		if slashes%2 == 0 {
			return i
		}
	}
}

// skipValue returns the index behind the value that begins at i, or -1.
func skipValue(data string, i int) int {
	if i >= len(data) {
		return -1
	}
	switch data[i] {
	case '"':
		return skipString(data, i)
	case '{', '[':
		return skipNested(data, i)
	}
	start := i
	for i < len(data) && isScalar(data[i]) {
		i++
	}
	if i == start {
		return -1
	}
	return i
}

// isScalar takes the bytes of numbers, true, false and null.
func isScalar(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c == '-' || c == '+' || c == '.' || c == 'E'
}

func skipNested(data string, i int) int {
	for depth := 0; i < len(data); i++ {
		switch data[i] {
		case '"':
			end := skipString(data, i)
			if end < 0 {
				return -1
			}
			i = end - 1
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth == 0 {
				return i + 1
			}
		}
	}
	return -1
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
	out := make([]byte, 0, len(raw))
	for i := 0; i < len(raw); i++ {
		if raw[i] != '\\' {
			out = append(out, raw[i])
			continue
		}
		if i++; i == len(raw) {
			return "", false
		}
		if raw[i] == 'u' {
			r, used := unicodeEscape(raw[i-1:])
			if used == 0 {
				return "", false
			}
			out = utf8.AppendRune(out, r)
			i += used - 2
			continue
		}
		c := strings.IndexByte(`"\/bfnrt`, raw[i])
		if c < 0 {
			return "", false
		}
		out = append(out, "\"\\/\b\f\n\r\t"[c])
	}
	return string(out), true
}

// unicodeEscape reads \uXXXX, or two of them that make one character, and
// says how many bytes that took.
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
		return utf8.RuneError, 6
	}
	return one, 6
}

func hex4(raw string) (rune, bool) {
	if len(raw) < 6 || raw[0] != '\\' || raw[1] != 'u' {
		return 0, false
	}
	n, err := strconv.ParseUint(raw[2:6], 16, 32)
	return rune(n), err == nil
}

// scalar is a JSON number or string as text; null is none.
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
