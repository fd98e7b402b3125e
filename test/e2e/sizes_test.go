package e2e

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/streamkeeper/streamkeeper/internal/program"
	"github.com/streamkeeper/streamkeeper/internal/redistest"
)

func TestPlanAndRunAgreeWhateverTheSizes(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		// streams each are named by so many sessions.
		streams, sessions int
	}{
		{"both", 6000, 3}, {"20 000 retirements", 20_000, 0}, {"100 000 expiries", 100, 1000},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := redistest.Start(t)
			ms := time.Now().Add(-26 * time.Hour).UnixMilli()
			var commands [][]any
			want := make(map[string]bool)
			for i := range c.streams {
				name := fmt.Sprint("s", i)
				want["retire "+name] = true
				commands = append(commands, []any{"SADD", "streams", name}, []any{"XADD", "stream:" + name, "1700000000000-1", "id", 7, "data", "x"})
				for k := range c.sessions {
					session := fmt.Sprint(name, "-", k)
					want["expire "+session] = true
					commands = append(commands, []any{"HSET", "sessions", session, fmt.Sprintf(`{"streamSessionId":7,"streamName":%q,"lastUpdated":%d,"json":{"state":4}}`, name, ms)})
				}
			}
			// What stays, whatever goes.
			now := fmt.Sprint(time.Now().UnixMilli())
			commands = append(commands, []any{"SADD", "streams", "lives"}, []any{"XADD", "stream:lives", now + "-0", "id", 7, "data", "x"},
				[]any{"HSET", "sessions", "lives", fmt.Sprintf(`{"streamSessionId":7,"streamName":"lives","lastUpdated":%s,"json":{"state":4}}`, now)})
			redistest.Do(t, s.Client, commands)
			env := program.Env{"REDIS_URL": s.URL(), "CLEANUP_BRAKE": "1"}

			planned := decode[struct {
				Actions []struct{ Action, Stream, Session string } `json:"actions"`
			}](t, env.MustRun(t, "plan", "--all", "-o", "json"))
			got := make(map[string]bool)
			for _, a := range planned.Actions {
				about := a.Stream
				if a.Action == "expire" {
					about = a.Session
				}
				got[a.Action+" "+about] = true
			}
			if len(planned.Actions) != len(want) || !maps.Equal(got, want) {
				t.Errorf("%d actions are planned, %d of them different; want %d", len(planned.Actions), len(got), len(want))
			}
			done := decode[struct {
				Jobs []struct {
					Expired int `json:"sessions_expired"`
					Retired int `json:"streams_retired"`
					Errors  int `json:"errors"`
				} `json:"jobs"`
			}](t, env.MustRun(t, "once", "cleanup", "-o", "json")).Jobs[0]
			if done.Expired != c.streams*c.sessions || done.Retired != c.streams || done.Errors != 0 {
				t.Errorf("%+v", done)
			}
			names := s.Client.SMembers(t.Context(), "streams").Val()
			sessions := s.Client.HKeys(t.Context(), "sessions").Val()
			keys := s.Client.Keys(t.Context(), "stream:*").Val()
			if !slices.Equal(names, []string{"lives"}) || !slices.Equal(sessions, []string{"lives"}) || !slices.Equal(keys, []string{"stream:lives"}) {
				t.Errorf("%d names, %d sessions and %d streams are left, want one each", len(names), len(sessions), len(keys))
			}
		})
	}
}
