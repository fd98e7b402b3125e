package cli

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/streamkeeper/streamkeeper/internal/jobs"
	"github.com/streamkeeper/streamkeeper/internal/redisconn"
	"github.com/streamkeeper/streamkeeper/metrics"
)

func TestWhatTheMetersHearOfBesidesTheRooms(t *testing.T) {
	t.Parallel()
	const used, clock = "streamkeeper_redis_memory_used_bytes ", `streamkeeper_redis_errors_total{class="clock"} `
	for _, test := range []struct {
		name, want string
		happens    func(observers)
	}{
		{"clocks that disagree, which Redis does not say", clock + "1", func(m observers) {
			m.ran(metrics.Run{Job: jobs.Cleanup, Result: metrics.ResultError}, fmt.Errorf("cleaning up: %w", redisconn.ErrClock))
		}},
		{"a run that failed otherwise is no error of the clocks", clock + "0", func(m observers) {
			m.ran(metrics.Run{Job: jobs.Cleanup, Result: metrics.ResultError}, errors.New("3 items failed"))
		}},
		{"Redis's memory is shown by the leader", used + "5", func(m observers) {
			m.Leader(true)
			m.RedisMemory(5, 9)
		}},
		{"and is old news at one that no longer leads", used + "0", func(m observers) {
			m.Leader(true)
			m.RedisMemory(5, 9)
			m.Leader(false)
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			m := observers{jobs.NewMetrics(jobs.Options{}, jobs.Process{Version: "1"})}
			test.happens(m)
			if page := scrapeMeters(t, m); !strings.Contains(page, "\n"+test.want+"\n") {
				t.Errorf("the page has no line %s", test.want)
			}
		})
	}
}

// scrapeMeters is the page of the metrics as it is now.
func scrapeMeters(t *testing.T, m observers) string {
	t.Helper()
	answer := httptest.NewRecorder()
	m.Handler().ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/metrics", http.NoBody))
	return answer.Body.String()
}
