package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/streamkeeper/streamkeeper/internal/cli"
	"github.com/streamkeeper/streamkeeper/internal/jobs"
	"github.com/streamkeeper/streamkeeper/internal/program"
	"github.com/streamkeeper/streamkeeper/internal/redistest"
)

// In the middle of a rotation new connections are refused, and whatever is asked
// meanwhile has no answer.
func TestARotationOfThePasswordEndsNothing(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	ctx := t.Context()
	fillStream(t, s)
	user := func(password string) {
		mustDo(t, s.Client.Do(ctx, "ACL", "SETUSER", "worker", "reset", "on", ">"+password, "~*", "+@all").Err())
	}
	file := filepath.Join(t.TempDir(), "password")
	user("first")
	mustDo(t, os.WriteFile(file, []byte("first"), 0o600))
	settings := program.Env{"REDIS_URL": s.URL(), "REDIS_USERNAME": "worker", "REDIS_PASSWORD_FILE": file, "TRIM_MAX_LENGTH": "100", "TRIM_EXACT": "true"}
	r := program.Start(t, s.URL(), settings)
	program.Eventually(t, 15*time.Second, "it works", func() bool { return r.Leads() && r.Runs(jobs.Trim) > 0 })
	follow, followed, older := settings.Command(t, "inspect", "--follow", "busy", "--since", "0"), new(program.Buffer), new(program.Buffer)
	follow.Stdout, follow.Stderr = older, followed
	mustDo(t, follow.Start())
	out := new(program.Buffer)
	again := settings.Command(t, "inspect", "--follow", "busy")
	again.Stdout = out
	mustDo(t, again.Start())
	program.Eventually(t, 15*time.Second, "it follows", func() bool {
		return strings.Contains(out.String(), "VERDICT") && strings.Contains(older.String(), "VERDICT")
	})

	user("second")
	mustDo(t, s.Client.ClientKillByFilter(ctx, "USER", "worker").Err())
	program.Eventually(t, 15*time.Second, "the refusal is said", func() bool {
		return strings.Contains(r.Log.String(), "WRONGPASS") && strings.Contains(followed.String(), "trying again")
	})
	if code, _, errs := settings.Run(t, "once"); code != cli.ExitFailure || !strings.Contains(errs, "wrong user or password") {
		t.Errorf("once: exit %d\n%s", code, errs)
	}
	mustDo(t, os.WriteFile(file, []byte("second"), 0o600))
	runs := r.Runs(jobs.Trim)
	mustDo(t, s.Client.XAdd(ctx, &redis.XAddArgs{Stream: fleetKey, ID: "9999999999999-7", Values: []any{"id", "1", "data", "late"}}).Err())
	program.Eventually(t, 30*time.Second, "all goes on", func() bool {
		return r.Runs(jobs.Trim) > runs && strings.Contains(out.String(), "9999999999999-7")
	})
	for _, log := range []string{r.Log.String(), followed.String()} {
		if strings.Contains(log, "panic") || strings.Contains(log, "unexpected type") {
			t.Errorf("the log says\n%s", log)
		}
	}
	endsAtOnce(t, follow, atOnce)
	endsAtOnce(t, again, atOnce)
}
