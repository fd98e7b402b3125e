package doctest

import (
	"slices"
	"strings"
	"testing"

	"github.com/streamkeeper/streamkeeper/buffer"
)

func TestOurOwnKeysAreDocumentedWithTheirBounds(t *testing.T) {
	t.Parallel()
	_, section, found := strings.Cut(readPage(t, "docs/operations.md"), "\n## Its own keys\n")
	section, _, _ = strings.Cut(section, "\n## ")
	if !found {
		t.Fatal("there is no such section")
	}
	var got, want []buffer.StateKey
	for _, cells := range rowsOf(section) {
		got = append(got, buffer.StateKey{Name: strings.Trim(cells[0], "`| "), Type: cells[1]})
		if len(cells) != 5 || slices.Contains(cells, "") {
			t.Errorf("%s: want the key, its type, its bound, what it takes at most, and what is lost without it", cells[0])
		}
	}
	want = buffer.StateKeys()
	byName := func(a, b buffer.StateKey) int { return strings.Compare(a.Name, b.Name) }
	slices.SortFunc(got, byName)
	slices.SortFunc(want, byName)
	if !slices.Equal(got, want) {
		t.Errorf("the table has %v, and the program writes %v", got, want)
	}
}
