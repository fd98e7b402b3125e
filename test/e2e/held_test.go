package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/streamkeeper/streamkeeper/internal/program"
	"github.com/streamkeeper/streamkeeper/internal/redistest"
)

func TestWhatTheGuardHoldsBackIsOnThePageWithExamples(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	ctx := t.Context()
	old := time.Now().Add(-26 * time.Hour).UnixMilli()
	for i := range 40 {
		s.Client.HSet(ctx, "sessions", fmt.Sprintf("car %d", i), fmt.Sprintf(`{"streamName":"rocket","lastUpdated":%d}`, old))
	}
	s.Client.SAdd(ctx, "streams", "rocket", "orphan")
	for _, name := range []string{"rocket", "orphan"} {
		s.Client.XAdd(ctx, &redis.XAddArgs{Stream: "stream:" + name, ID: fmt.Sprint(old, "-1"), Values: []any{"id", 1}})
	}
	r := program.Start(t, s.URL(), nil)
	program.Eventually(t, 20*time.Second, "the guard trips", func() bool { return r.Status().NextCleanup.Brake != "" })
	next := r.Status().NextCleanup
	if next.Expire != 40 || next.Retire != 2 || len(next.Examples) != 12 {
		t.Errorf("the next clean-up is %+v", next)
	}
	seen := make(map[string]int)
	for _, a := range next.Examples {
		seen[a.Action+" of "+a.Stream]++
		if !strings.Contains(a.Reason, "26h") {
			t.Errorf("the example %+v", a)
		}
	}
	if seen["expire of rocket"] != 10 || seen["retire of rocket"] != 1 || seen["retire of orphan"] != 1 {
		t.Errorf("the examples are %v", seen)
	}
	_, page := r.Get("/")
	for _, text := range []string{"Without the guard it would:", "<bdi>car ", "not updated for 26h", "no session, last entry 26h", "and 30 more"} {
		if !strings.Contains(page, text) {
			t.Errorf("the page does not say %q", text)
		}
	}
}
