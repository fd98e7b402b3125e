// Package escape shows names, which may be any bytes.
package escape

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Name writes a name, which may be any bytes, so that it can be shown on a
// terminal, in JSON, in a label or on a page: invalid UTF-8, control characters
// and what moves or hides the text around it become \xNN, a backslash becomes \\.
// [Parse] reverses it.
func Name(name string) string {
	if !Needed(name) {
		return name
	}
	var b strings.Builder
	for i := 0; i < len(name); {
		r, size := utf8.DecodeRuneInString(name[i:])
		switch {
		case r == '\\':
			b.WriteString(`\\`)
		case Unprintable(r, size):
			for _, c := range []byte(name[i : i+size]) {
				fmt.Fprintf(&b, `\x%02x`, c)
			}
		default:
			b.WriteString(name[i : i+size])
		}
		i += size
	}
	return b.String()
}

// Quote is [Name] in quotation marks, for errors and sentences.
func Quote(name string) string { return `"` + Name(name) + `"` }

// Text is [Name] for a text in which names are escaped already: backslashes stay as
// they are.
func Text(text string) string { return strings.ReplaceAll(Name(text), `\\`, `\`) }

// Needed reports whether [Name] would change a name.
func Needed(name string) bool {
	for i := 0; i < len(name); {
		r, size := utf8.DecodeRuneInString(name[i:])
		if r == '\\' || Unprintable(r, size) {
			return true
		}
		i += size
	}
	return false
}

// Unprintable reports whether a rune of that size cannot be shown as it is: it is
// none, a control character, a mark that turns the direction of the text around
// (U+202E), is not seen (U+200B), or ends a line or a paragraph (U+2028).
func Unprintable(r rune, size int) bool {
	return r == utf8.RuneError && size == 1 || unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp)
}

// Parse reads what [Name] wrote: \xNN and \\; any other backslash is an
// error.
func Parse(text string) (string, error) {
	if !strings.Contains(text, `\`) {
		return text, nil
	}
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		if text[i] != '\\' {
			b.WriteByte(text[i])
			continue
		}
		rest := text[i+1:]
		var c byte
		switch {
		case strings.HasPrefix(rest, `\`):
			b.WriteByte('\\')
			i++
		case len(rest) >= 3 && rest[0] == 'x' && parseHex(rest[1:3], &c):
			b.WriteByte(c)
			i += 3
		default:
			return "", fmt.Errorf(`name %q: a backslash must be \\ or \xNN`, text)
		}
	}
	return b.String(), nil
}

// Bytes puts a byte in the place of each \xNN, and leaves other backslashes to
// whom they mean something: in a pattern they take a special character as it is.
func Bytes(text string) string {
	if strings.HasPrefix(text, `"`) {
		return text // a quoted name has its own way to say it
	}
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		var c byte
		switch {
		case text[i] != '\\' || i+1 == len(text):
			b.WriteByte(text[i])
		case text[i+1] == 'x' && i+4 <= len(text) && parseHex(text[i+2:i+4], &c):
			b.WriteByte(c)
			i += 3
		default:
			b.WriteString(text[i : i+2])
			i++
		}
	}
	return b.String()
}

func parseHex(s string, c *byte) bool {
	n, err := fmt.Sscanf(s, "%02x", c)
	return n == 1 && err == nil
}
