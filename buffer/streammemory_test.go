package buffer

import (
	"fmt"
	"strings"
	"testing"

	"github.com/streamkeeper/streamkeeper/internal/redistest"
)

// TestTheMemoryOfAStreamIsThatOfAllItsNodes: the oldest entries are small, and say
// nothing of those that follow.
func TestTheMemoryOfAStreamIsThatOfAllItsNodes(t *testing.T) {
	redistest.EachVersion(t, func(t *testing.T, start redistest.StartFunc) {
		s := start(t)
		b := open(t, s.URL(), nil)
		ctx := t.Context()
		var names []string
		for n := range 3 * streamsPipeline / 2 { // more than a pipeline takes
			names = append(names, fmt.Sprint("car ", n))
		}
		for _, name := range names[:2] {
			for n := range 1000 {
				data := "x"
				if n >= 500 {
					data = strings.Repeat("x", 2000)
				}
				if err := s.Client.Do(ctx, "XADD", "stream:"+name, "*", "id", 1, "data", data).Err(); err != nil {
					t.Fatal(err)
				}
			}
		}
		infos, err := b.Infos(ctx, names)
		if err != nil {
			t.Fatal(err)
		}
		sizes, err := b.StreamMemory(ctx, names, infos)
		if err != nil || len(sizes) != len(names) {
			t.Fatalf("%d sizes: %v", len(sizes), err)
		}
		for i, size := range sizes {
			if exists := i < 2; exists && (size < 900_000 || size > 2_500_000) || !exists && size != 0 {
				t.Errorf("%s takes %d bytes", names[i], size)
			}
		}
	})
}
