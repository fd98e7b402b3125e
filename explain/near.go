package explain

import (
	"slices"
	"strings"
	"time"

	"github.com/streamkeeper/streamkeeper/buffer"
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

// withPlain are the names that are asked for, each once, and those of streams whose keys
// they may be.
func withPlain(keys buffer.Names, o Options, asked []string) (names []string) {
	add := func(name string) {
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	for _, name := range asked {
		add(name)
		if plain, ok := keys.StreamOf(name); ok && !o.Sessions {
			add(plain)
		}
	}
	return names
}

// answerTo is what there is to say of a name that is asked for: that of a stream, where
// it is nothing but the stream's key.
func (e *explanation) answerTo(name string, now time.Time) Answer {
	a := e.answer(name, now)
	a.Asked = name
	plain, ok := e.b.Names().StreamOf(name)
	if a.Known() || !ok || e.o.Sessions {
		return a
	}
	if stream := e.answer(plain, now); stream.Stream != nil {
		stream.Asked, stream.Sessions = name, nil
		return stream
	}
	if len(a.Near) == 0 {
		a.Near = e.near.best(plain)
	}
	return a
}
