package buffer

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Pattern matches names: a Redis glob (as in KEYS and SCAN MATCH) or, written
// as a quoted Go string, exactly one name.
type Pattern struct {
	text    string
	literal bool
}

// ParsePattern reads one pattern.
func ParsePattern(text string) (Pattern, error) {
	if !strings.HasPrefix(text, `"`) {
		if text == "" {
			return Pattern{}, fmt.Errorf(`empty pattern: want a glob or a quoted name ("" is the stream without a name)`)
		}
		return Pattern{text: text}, nil
	}
	name, err := strconv.Unquote(text)
	if err != nil {
		return Pattern{}, fmt.Errorf("pattern %s: not a quoted Go string", text)
	}
	return Pattern{text: name, literal: true}, nil
}

// Match reports whether the pattern takes in name.
func (p Pattern) Match(name string) bool {
	if p.literal {
		return p.text == name
	}
	return globMatch(p.text, name)
}

func (p Pattern) String() string {
	if p.literal {
		return strconv.Quote(p.text)
	}
	return p.text
}

// Patterns match a name if one of them does.
type Patterns []Pattern

// ErrSemicolon says that somebody may have meant to separate patterns by it.
var ErrSemicolon = errors.New(`patterns are separated by commas alone; a ; of a name is written in quotes ("car;1") or as \;`)

// ParsePatterns reads patterns separated by commas; within a quoted name these
// are ordinary characters.
func ParsePatterns(text string) (Patterns, error) {
	var all Patterns
	for _, part := range SplitUnquoted(text, ",") {
		part = strings.TrimSpace(part)
		if part == "" {
			continue
		}
		if bareSemicolon(part) {
			return nil, fmt.Errorf("pattern %s: %w", part, ErrSemicolon)
		}
		p, err := ParsePattern(part)
		if err != nil {
			return nil, err
		}
		all = append(all, p)
	}
	return all, nil
}

// bareSemicolon reports whether a ; stands in a pattern without quotes or a
// backslash.
func bareSemicolon(pattern string) bool {
	pieces := SplitUnquoted(pattern, ";")
	return slices.ContainsFunc(pieces[:len(pieces)-1], func(before string) bool { return !strings.HasSuffix(before, `\`) })
}

// Match reports whether one of the patterns takes in name.
func (ps Patterns) Match(name string) bool {
	for _, p := range ps {
		if p.Match(name) {
			return true
		}
	}
	return false
}

// all reports whether every name matches, so that no name need be asked.
func (ps Patterns) all() bool {
	for _, p := range ps {
		if !p.literal && p.text == "*" {
			return true
		}
	}
	return false
}

// SplitUnquoted cuts text at each separator that stands outside a quoted Go
// string.
func SplitUnquoted(text, separators string) []string {
	var parts []string
	start, quoted := 0, false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case !quoted && strings.IndexByte(separators, c) >= 0:
			parts = append(parts, text[start:i])
			start = i + 1
		}
	}
	return append(parts, text[start:])
}

// globMatch is Redis's stringmatchlen: * ? [a-z] [^a] and \ to take the next
// character as it is, on bytes. Unlike path.Match no byte is special to *.
func globMatch(pattern, name string) bool {
	// Where to go on after a mismatch: the last star takes one byte more.
	starPattern, starName := -1, 0
	p, n := 0, 0
	for n < len(name) {
		if p < len(pattern) && pattern[p] == '*' {
			starPattern, starName = p+1, n
			p++
			continue
		}
		if p < len(pattern) {
			if ok, next := matchOne(pattern, p, name[n]); ok {
				p, n = next, n+1
				continue
			}
		}
		if starPattern < 0 {
			return false
		}
		starName++
		p, n = starPattern, starName
	}
	return strings.Trim(pattern[min(p, len(pattern)):], "*") == ""
}

// matchOne matches one byte against the element of the pattern at p and
// returns where the next element begins.
func matchOne(pattern string, p int, c byte) (ok bool, next int) {
	switch pattern[p] {
	case '?':
		return true, p + 1
	case '[':
		return matchClass(pattern, p+1, c)
	case '\\':
		if p+1 < len(pattern) {
			p++
		}
	}
	return pattern[p] == c, p + 1
}

// matchClass matches c against the class whose first byte is at p; a class
// that is not closed ends with the pattern, as in Redis.
func matchClass(pattern string, p int, c byte) (ok bool, next int) {
	not := p < len(pattern) && pattern[p] == '^'
	if not {
		p++
	}
	for p < len(pattern) && pattern[p] != ']' {
		switch {
		case pattern[p] == '\\' && p+1 < len(pattern):
			ok = ok || pattern[p+1] == c
			p += 2
		case p+2 < len(pattern) && pattern[p+1] == '-':
			lo, hi := min(pattern[p], pattern[p+2]), max(pattern[p], pattern[p+2])
			ok = ok || lo <= c && c <= hi
			p += 3
		default:
			ok = ok || pattern[p] == c
			p++
		}
	}
	return ok != not, min(p+1, len(pattern))
}
