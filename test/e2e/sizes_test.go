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

// deadLua makes streams whose only message is old, and sessions that name each of them.
// ARGV are how many streams, how many sessions each, and when those were last updated.
const deadLua = `
for i = 0, ARGV[1] - 1 do
  local name = 's' .. i
  redis.call('SADD', 'streams', name)
  redis.call('XADD', 'stream:' .. name, '1700000000000-1', 'id', '7', 'data', 'x')
  for k = 0, ARGV[2] - 1 do
    redis.call('HSET', 'sessions', name .. '-' .. k, '{"streamSessionId":7,"streamName":"' .. name .. '","lastUpdated":' .. ARGV[3] .. ',"json":{"state":4}}')
  end
end
return 'OK'`

func TestPlanAndRunAgreeWhateverTheSizes(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		// streams each are named by so many sessions.
		streams, sessions int
	}{
		{"both", 2000, 3}, {"20 000 retirements", 20_000, 0}, {"100 000 expiries", 100, 1000},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := redistest.Start(t)
			old := time.Now().Add(-26 * time.Hour).UnixMilli()
			mustDo(t, s.Client.Eval(t.Context(), deadLua, nil, c.streams, c.sessions, old).Err())
			want := make(map[string]bool)
			for i := range c.streams {
				want[fmt.Sprint("retire s", i)] = true
				for k := range c.sessions {
					want[fmt.Sprint("expire s", i, "-", k)] = true
				}
			}
			// What stays, whatever goes.
			now := fmt.Sprint(time.Now().UnixMilli())
			redistest.Do(t, s.Client, [][]any{{"SADD", "streams", "lives"}, {"XADD", "stream:lives", now + "-0", "id", 7, "data", "x"},
				{"HSET", "sessions", "lives", fmt.Sprintf(`{"streamSessionId":7,"streamName":"lives","lastUpdated":%s,"json":{"state":4}}`, now)}})
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
