package e2e

import (
	"strings"
	"testing"

	"github.com/streamkeeper/streamkeeper/demo"
	"github.com/streamkeeper/streamkeeper/internal/cli"
	"github.com/streamkeeper/streamkeeper/internal/program"
	"github.com/streamkeeper/streamkeeper/internal/redistest"
)

func TestDemoProducersFillARedisAndNothingElse(t *testing.T) {
	t.Parallel()
	env := program.Env{}
	server := redistest.Start(t)
	out := env.MustRun(t, "demo", "--producers", "--redis-url", "redis://:secret@"+server.Addr, "--for", "1s")
	if !strings.HasPrefix(out, "Producing into redis://") || strings.Contains(out, "secret") {
		t.Errorf("it says %q", out)
	}
	for _, role := range demo.Cast() {
		if server.Client.XLen(t.Context(), "stream:"+role.Name).Val() == 0 {
			t.Errorf("stream %q is empty", role.Name)
		}
	}
	if n := server.Client.Exists(t.Context(), "streamkeeper:lease").Val(); n != 0 {
		t.Error("streamkeeper was at work")
	}
}

func TestDemoProducersRefuseARedisThatIsSomebodyElses(t *testing.T) {
	t.Parallel()
	env := program.Env{}
	server := redistest.Start(t)
	mustDo(t, server.Client.SAdd(t.Context(), "streams", demo.Cast()[0].Name, "rocket-1").Err())
	before := dump(t, server.Client)
	code, out, errs := env.Run(t, "demo", "--producers", "--redis-url", server.URL(), "--for", "1s")
	if code != cli.ExitFailure || out != "" || !strings.Contains(errs, "'rocket-1'") {
		t.Errorf("exit %d\n%s%s", code, out, errs)
	}
	if after := dump(t, server.Client); after != before {
		t.Errorf("Redis held\n%s, and now\n%s", before, after)
	}
}
