package sweep

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/streamkeeper/streamkeeper/buffer"
	"github.com/streamkeeper/streamkeeper/trim"
)

// alike is a store in which each stream has a thousand entries, all of them old.
type alike struct {
	Store
	asked int
}

func (a *alike) Infos(_ context.Context, names []string) ([]buffer.StreamInfo, error) {
	infos := make([]buffer.StreamInfo, len(names))
	for i := range infos {
		infos[i] = buffer.StreamInfo{Type: "stream", Length: 1000, Nodes: 10, First: buffer.ID{Ms: 1}, Newest: buffer.ID{Ms: 2}}
	}
	a.asked += len(names)
	return infos, nil
}

// Each stream of a backlog counts, whether it was measured or not, and whether the
// queue had room for it or not.
func TestABacklogCountsWhatIsNotMeasuredAndWhatIsNotQueued(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ known, unknown int }{
		"few":                {10, 20},
		"many are unknown":   {0, 3 * maxMeasured},
		"more than queued":   {2*maxWaiting + 500, 0},
		"more than measured": {maxMeasured, 2*maxWaiting + 500},
		"dropped, unknown":   {2*maxWaiting + 1, 700},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			store := &alike{}
			r := newRun(New(store, Options{}), time.Now(), true)
			var cs []*stream
			for i := range c.known + c.unknown {
				left := int64(1000)
				if i >= c.known {
					left = -1
				}
				s := &stream{name: fmt.Sprint(i), policy: trim.Policy{MaxLength: 10}, ageLimit: buffer.ID{Ms: 10}}
				s.cut.Steps = []trim.Step{{Over: 1}}
				cs = append(cs, s)
				r.queue.add(s, step{by: trim.ByAge, left: left})
			}
			left := r.queue.take(nil)
			streams := len(left) + r.queue.dropped.streams()
			entries, err := r.backlog(t.Context(), left)
			if want := c.known + c.unknown; err != nil || streams != want || entries != int64(want)*1000 || store.asked > maxMeasured {
				t.Errorf("%d entries in %d streams, want %d streams of a thousand; %d were measured; %v", entries, streams, want, store.asked, err)
			}
			protected := 0
			r.handOver = func(_ *stream, cut trim.Cut) { protected += len(cut.Protected) }
			for _, s := range cs {
				s.recordLength(1000)
				if r.queue.isDropped(s.name) {
					if err := r.finish(t.Context(), []*stream{s}); err != nil {
						t.Fatal(err)
					}
				}
			}
			if protected > 0 {
				t.Errorf("%d of those without room are said to be protected", protected)
			}
		})
	}
}
