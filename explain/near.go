package explain

import (
	"slices"
	"strings"

	"github.com/streamkeeper/streamkeeper/internal/human"
)

// near keeps the names that are most like those asked for.
type near struct{ byName map[string][]candidate }

type candidate struct {
	name  string
	edits int
}

const (
	maxNear   = 3
	nearEdits = 3
)

func (n *near) offer(name string, asked []string) {
	if n.byName == nil {
		n.byName = make(map[string][]candidate)
	}
	for _, a := range asked {
		edits := len(name) + len(a)
		switch {
		case len(a) > 2 && strings.Contains(name, a):
			edits = nearEdits
		case resembles(name, a):
			edits = human.EditDistance(strings.ToLower(name), strings.ToLower(a))
		}
		if edits > nearEdits || edits >= len(a) || slices.ContainsFunc(n.byName[a], func(c candidate) bool { return c.name == name }) {
			continue
		}
		best := append(slices.Clone(n.byName[a]), candidate{strings.Clone(name), edits})
		slices.SortStableFunc(best, func(a, b candidate) int { return a.edits - b.edits })
		n.byName[a] = best[:min(len(best), maxNear)]
	}
}

// resembles reports, at little cost, whether a name may be another with a typing
// error: of those that are long the beginning or the end is the same.
func resembles(name, asked string) bool {
	if diff := len(name) - len(asked); diff > nearEdits || -diff > nearEdits {
		return false
	}
	const long = 12
	half := len(asked) / 2
	return len(asked) < long || strings.HasPrefix(name, asked[:half-1]) || strings.HasSuffix(name, asked[half+1:])
}

func (n *near) best(name string) []string {
	var names []string
	for _, c := range n.byName[name] {
		names = append(names, c.name)
	}
	return names
}
