package buffer

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/streamkeeper/streamkeeper/internal/redistest"
)

// An estimate is rather too little than too much: also where a large message begins
// each burst, and where consumer groups are counted for more than all entries.
func TestAnEstimateOfEntriesIsNotFarTooMuch(t *testing.T) {
	redistest.EachVersion(t, func(t *testing.T, start redistest.StartFunc) {
		s := start(t)
		b := open(t, s.URL(), nil)
		since := time.Now().Add(-time.Hour).UnixMilli()
		for name, c := range map[string]struct {
			entries, small, groups int
			most                   float64
		}{
			"many nodes": {12_000, 2100, 0, 1.3},
			"groups":     {3000, 200, 5, 1.6},
		} {
			pipe := s.Client.Pipeline()
			for i := range c.entries {
				size := c.small
				if i%100 == 0 {
					size = 20_000
				}
				pipe.XAdd(t.Context(), &redis.XAddArgs{
					Stream: "stream:" + name, ID: fmt.Sprintf("%d-%d", since+int64(i/100*500), i+1), Values: []any{"id", 7, "data", strings.Repeat("x", size)},
				})
				if pipe.Len() > 500 || i == c.entries-1 {
					if _, err := pipe.Exec(t.Context()); err != nil {
						t.Fatal(err)
					}
				}
			}
			really := s.Client.MemoryUsage(t.Context(), "stream:"+name, 0).Val()
			for n := range c.groups {
				group := fmt.Sprint(n)
				s.Client.XGroupCreate(t.Context(), "stream:"+name, group, "0")
				s.Client.Do(t.Context(), "XREADGROUP", "GROUP", group, "c", "COUNT", c.entries, "STREAMS", "stream:"+name, ">")
			}
			counted, err := b.EntryMemories(t.Context(), []string{name})
			if err != nil || !counted[0].Uncounted {
				t.Fatalf("%s: %+v, %v", name, counted, err)
			}
			m, err := b.EstimateEntryMemory(t.Context(), name, counted[0])
			if share := float64(m.Bytes) / float64(really); err != nil || m.Err != nil || share < 0.5 || share > c.most {
				t.Errorf("%s: an estimate of %.2f of %d bytes, %+v, %v", name, share, really, m, err)
			}
		}
	})
}
