package cli

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/streamkeeper/streamkeeper/internal/jobs"
	"github.com/streamkeeper/streamkeeper/trim"
)

func TestPoliciesAreReadAgainWhenTheirFileChanges(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "policies")
	write := func(text string) {
		t.Helper()
		// As a whole, as a ConfigMap changes: the step before may still be reading.
		if err := errors.Join(os.WriteFile(path+"~", []byte(text), 0o600), os.Rename(path+"~", path)); err != nil {
			t.Fatal(err)
		}
	}
	loads := 0
	live := jobs.NewLivePolicies(trim.Policies{Default: trim.Policy{MaxLength: 1}})
	reloads := make(chan error, 10)
	f := &policyFile{
		path: path, live: live, log: slog.New(slog.DiscardHandler), onReload: func(err error) { reloads <- err },
		load: func() (Options, error) {
			loads++
			text, err := os.ReadFile(path)
			if string(text) == "faulty" {
				err = errors.New("faulty")
			}
			var o Options
			o.Jobs.Trim.Policies.Default.MaxLength = int64(len(text))
			return o, err
		},
	}
	tick, asked := make(chan time.Time), make(chan os.Signal)
	go f.watch(t.Context(), tick, asked)
	step := func(want int64, wantFault bool) {
		t.Helper()
		if err := <-reloads; (err != nil) != wantFault {
			t.Errorf("reading it: %v", err)
		}
		tick <- time.Time{} // nothing has changed, and the step before is done
		if got := live.Now().Default.MaxLength; got != want {
			t.Errorf("the limit is %d, want %d", got, want)
		}
	}
	write("12345")
	tick <- time.Time{}
	step(5, false)
	write("faulty")
	tick <- time.Time{}
	step(5, true)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	tick <- time.Time{}
	step(5, true)
	write("1234567")
	asked <- syscall.SIGHUP
	step(7, false)
	asked <- syscall.SIGHUP // read even though it is as it was
	step(7, false)
	if len(reloads) > 0 || loads != 5 {
		t.Errorf("read %d times, want 5", loads)
	}
}
