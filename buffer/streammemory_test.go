package buffer

import (
	"fmt"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

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

// TestTheMemoryOfAStreamIsThatOfItsEntriesWhateverItsGroupsTake: of each entry five groups
// remember that it is pending.
func TestTheMemoryOfAStreamIsThatOfItsEntriesWhateverItsGroupsTake(t *testing.T) {
	redistest.EachVersion(t, func(t *testing.T, start redistest.StartFunc) {
		s := start(t)
		b := open(t, s.URL(), nil)
		ctx := t.Context()
		ids := make([]string, 3000)
		for i := range ids {
			ids[i] = fmt.Sprintf("%d-0", i+1)
		}
		redistest.AddEntries(t, s.Client, "stream:car", ids, func(int) int { return 100 }, "id", "7", "data")
		entries := s.Client.MemoryUsage(ctx, "stream:car", 0).Val()
		for n := range 5 {
			group := fmt.Sprint("g", n)
			s.Client.XGroupCreate(ctx, "stream:car", group, "0")
			s.Client.XReadGroup(ctx, &redis.XReadGroupArgs{Group: group, Consumer: "c", Streams: []string{"stream:car", ">"}, Count: 3000})
		}
		infos, err := b.Infos(ctx, []string{"car"})
		if err != nil {
			t.Fatal(err)
		}
		whole, err := b.StreamMemory(ctx, []string{"car"}, infos)
		if err != nil {
			t.Fatal(err)
		}
		oldest, err := b.Sizes(ctx, []string{"car"})
		if err != nil {
			t.Fatal(err)
		}
		found, err := b.Oldest(ctx, []OldestRequest{{Stream: "car", Before: ID{Ms: 5000}, Count: 1}})
		if err != nil {
			t.Fatal(err)
		}
		for what, size := range map[string]int64{"its memory": whole[0], "its size": oldest[0], "the oldest entry, times all": found[0].EntryBytes * 3000} {
			if share := float64(size) / float64(entries); share < 0.7 || share > 1.3 {
				t.Errorf("%s: %d bytes, and its entries take %d", what, size, entries)
			}
		}
	})
}
