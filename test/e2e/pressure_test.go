package e2e

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/streamkeeper/streamkeeper/internal/program"
	"github.com/streamkeeper/streamkeeper/internal/redistest"
)

// What memory pressure takes from a stream depends on all the others: who asks for one
// is told what a run does to it.
func TestUnderMemoryPressureWhoAsksForOneStreamIsToldWhatARunDoes(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	first := time.Now().Add(-time.Hour).UnixMilli()
	for name, entries := range map[string]int{"large": 6000, "small": 600} {
		pipe := server.Client.Pipeline()
		pipe.SAdd(t.Context(), "streams", name)
		for i := range entries {
			pipe.XAdd(t.Context(), &redis.XAddArgs{Stream: "stream:" + name, ID: fmt.Sprintf("%d-0", first+int64(i)), Values: []any{"id", 1, "data", strings.Repeat("x", 1000)}})
		}
		_, err := pipe.Exec(t.Context())
		mustDo(t, err)
	}
	var used int64
	info := server.Client.InfoMap(t.Context(), "memory").Val()["Memory"]
	_, err := fmt.Sscan(info["used_memory"], &used)
	mustDo(t, err)
	server.Client.ConfigSet(t.Context(), "maxmemory", fmt.Sprint(used*10/9))
	env := program.Env{"REDIS_URL": server.URL(), "TRIM_PRESSURE": "0.8", "TRIM_MIN_AGE": "1m"}
	entriesOf := func(args ...string) map[string]int64 {
		var plan struct {
			Summary struct {
				TrimStreams int64 `json:"trim_streams"`
				TrimEntries int64 `json:"trim_entries"`
			}
			Actions []struct {
				Stream  string
				Entries int64
			}
		}
		mustDo(t, json.Unmarshal([]byte(env.MustRun(t, append([]string{"plan", "--job", "trim", "-o", "json"}, args...)...)), &plan))
		all, sum := make(map[string]int64), int64(0)
		for _, a := range plan.Actions {
			all[a.Stream] += a.Entries
			sum += a.Entries
		}
		if plan.Summary.TrimEntries != sum || plan.Summary.TrimStreams != int64(len(all)) {
			t.Errorf("plan %q: %+v", args, plan)
		}
		return all
	}
	whole := entriesOf()
	if whole["large"] == 0 || whole["small"] != 0 {
		t.Fatalf("a plan of all: %v", whole)
	}
	if asked := entriesOf("small"); len(asked) != 0 {
		t.Errorf("a plan of the small one: %v", asked)
	}
	for name, want := range map[string]string{"small": "next trim nothing: it is within its limits", "large": "next trim removes about "} {
		if out := strings.Join(strings.Fields(env.MustRun(t, "explain", name)), " "); !strings.Contains(out, want) {
			t.Errorf("explain does not say %q: %s", want, out)
		}
	}
	env.MustRun(t, "once", "trim")
	if n := server.Client.XLen(t.Context(), "stream:small").Val(); n != 600 {
		t.Errorf("%d entries of the small one stay", n)
	}
	if n := server.Client.XLen(t.Context(), "stream:large").Val(); n >= 6000 {
		t.Error("nothing went from the large one")
	}
	// The page looks at one stream alone, and says so.
	r := program.Start(t, server.URL(), map[string]string{"TRIM_PRESSURE": "0.8", "TRIM_MIN_AGE": "1m"})
	program.Eventually(t, 20*time.Second, "the page says what it leaves out", func() bool {
		_, page := r.Get("/streams/small")
		return strings.Contains(page, "within its limits; memory pressure may take more")
	})
}
