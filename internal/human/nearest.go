package human

import (
	"slices"
	"strings"
)

// Bounds of what [Nearest] takes for near.
const (
	// leastPart is how long a text must be to be taken for a part of another.
	leastPart = 3
	// leastEdits is how many edits away a short name may be; a longer one a quarter of
	// its length.
	leastEdits = 2
	// far is more than any distance.
	far = 1 << 20
)

// Nearest is the candidate that a mistyped name stands for, "" if none is near. First
// comes the shortest that begins with the name, as PASSWORD does with PASS; then the
// shortest that ends with it after a separator, as TRIM_MAX_AGE does with MAX_AGE; then
// the one that takes the fewest edits to reach; then the longest with which the name
// begins. The letter case does not count.
func Nearest(name string, candidates []string) string {
	name = strings.ToLower(name)
	if name == "" || len(candidates) == 0 {
		return ""
	}
	distance := func(candidate string) int {
		candidate = strings.ToLower(candidate)
		edits := EditDistance(name, candidate)
		switch {
		case len(name) >= leastPart && strings.HasPrefix(candidate, name):
			return edits - 2*far
		case len(name) >= leastPart && (strings.HasSuffix(candidate, "_"+name) || strings.HasSuffix(candidate, "-"+name)):
			return edits - far
		case edits <= max(leastEdits, len(name)/4) && edits < len(name):
			return edits
		case len(candidate) >= leastPart && strings.HasPrefix(name, candidate):
			return far - len(candidate)
		}
		return far
	}
	best := slices.MinFunc(candidates, func(a, b string) int { return distance(a) - distance(b) })
	if distance(best) >= far {
		return ""
	}
	return best
}
