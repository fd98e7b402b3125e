package buffer

import "slices"

// Covers reports whether the pattern certainly takes in every name that other
// takes in. False may also mean that it is not known.
func (p Pattern) Covers(other Pattern) bool {
	if other.literal {
		return p.Match(other.text)
	}
	return coversAll(p.elements(), other.elements())
}

// element is one part of a pattern: a star, or the bytes that one byte of a
// name may be.
type element struct {
	star  bool
	bytes [256]bool
}

// elements are the parts of a pattern. In a run of stars and elements that take
// any byte the order means nothing: the star comes last, and once.
func (p Pattern) elements() []element {
	var all []element
	star := false
	flush := func() {
		if star {
			all = append(all, element{star: true})
		}
		star = false
	}
	for i := 0; i < len(p.text); {
		if !p.literal && p.text[i] == '*' {
			star, i = true, i+1
			continue
		}
		e, next := element{}, i+1
		for c := range e.bytes {
			if p.literal {
				e.bytes[c] = p.text[i] == byte(c)
			} else {
				e.bytes[c], next = matchOne(p.text, i, byte(c))
			}
		}
		if slices.Contains(e.bytes[:], false) {
			flush()
		}
		all = append(all, e)
		i = next
	}
	flush()
	return all
}

// coversAll matches the elements of one pattern against those of another as if
// they were a name. Only a star takes in a star, so what it finds is certain.
func coversAll(pattern, other []element) bool {
	starPattern, starOther := -1, 0
	p, o := 0, 0
	for o < len(other) {
		switch {
		case p < len(pattern) && pattern[p].star:
			starPattern, starOther = p+1, o
			p++
		case p < len(pattern) && pattern[p].takesIn(other[o]):
			p, o = p+1, o+1
		case starPattern < 0:
			return false
		default:
			starOther++
			p, o = starPattern, starOther
		}
	}
	for p < len(pattern) && pattern[p].star {
		p++
	}
	return p == len(pattern)
}

// takesIn reports whether an element of one byte takes in all that other does.
func (e element) takesIn(other element) bool {
	if other.star {
		return false
	}
	for c, may := range other.bytes {
		if may && !e.bytes[c] {
			return false
		}
	}
	return true
}
