package sweep

import (
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/streamkeeper/streamkeeper/internal/redisconn"
	"github.com/streamkeeper/streamkeeper/internal/redistest"
	"github.com/streamkeeper/streamkeeper/trim"
)

func TestATrimWithoutReplyIsSaidAndNotSentAgain(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		entries int
		exact   bool
		// lost is the trimming command of which the reply is lost.
		lost int64
	}{
		"in a batch": {150, false, 1}, "in a script": {150, true, 1}, "a backlog": {60_000, false, 1}, "later": {60_000, false, 3},
	} {
		for _, url := range []string{"", "?max_retries=-1"} {
			t.Run(name+url, func(t *testing.T) {
				s := redistest.Start(t)
				p := redistest.StartProxy(t, s.Addr)
				w := newFixture(t, s.Client, p.URL()+url)
				w.fill("s", 100, times(time.Now().Add(-time.Hour), c.entries)...)
				var sent atomic.Int64
				p.Set(func(command []string) redistest.Fault {
					if command[0] != "xtrim" && (command[0] != "eval" || !strings.Contains(command[1], "'XTRIM'")) {
						return redistest.Fault{}
					}
					return redistest.Fault{Lose: sent.Add(1) == c.lost}
				})
				var unknown []string
				var removed int64
				r, err := w.trimmer(trim.Policy{MaxLength: 10, Exact: c.exact}, func(o *Options) {
					o.OnUnknown = func(stream string, err error) { unknown = append(unknown, stream+" "+string(redisconn.ClassOf(err))) }
					o.OnRemoved = func(r Removed) { removed += r.Entries }
				}).Run(t.Context())
				if err == nil || !strings.Contains(err.Error(), "entries of 1 stream may have gone, as no reply came") {
					t.Errorf("the run ends with %v", err)
				}
				if n := sent.Load(); n != c.lost || len(unknown) != 1 || unknown[0] != "s connection" {
					t.Errorf("%d commands were sent, not known: %q", n, unknown)
				}
				if gone := int64(c.entries) - w.length("s"); r.EntriesRemoved != removed || removed >= gone || (removed > 0) != (c.lost > 1) {
					t.Errorf("%d entries are gone, %d were told, the report: %+v", gone, removed, r)
				}
			})
		}
	}
}
