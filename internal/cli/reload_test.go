package cli

import (
	"context"
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
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
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
	step := func(read func(), want int64, wantFault bool) {
		t.Helper()
		read()
		if err := <-reloads; (err != nil) != wantFault {
			t.Errorf("reading it: %v", err)
		}
		f.compare() // nothing has changed
		if got := live.Now().Default.MaxLength; got != want {
			t.Errorf("the limit is %d, want %d", got, want)
		}
	}
	write("12345")
	step(f.compare, 5, false)
	write("faulty")
	step(f.compare, 5, true)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	step(f.compare, 5, true)
	write("1234567")
	step(f.compare, 7, false)
	step(f.reread, 7, false)
	if len(reloads) > 0 || loads != 5 {
		t.Errorf("read %d times, want 5", loads)
	}
	tick, asked := make(chan time.Time), make(chan os.Signal)
	go f.watch(t.Context(), tick, asked)
	write("123")
	tick <- time.Time{}
	<-reloads
	asked <- syscall.SIGHUP
	<-reloads
}

func TestAFileThatCannotBeReadToItsEndHoldsNothingUp(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "policies")
	if err := os.WriteFile(path, []byte("12345"), 0o600); err != nil {
		t.Fatal(err)
	}
	goOn, reloads := make(chan struct{}), make(chan error, 10)
	f := &policyFile{
		path: path, live: jobs.NewLivePolicies(trim.Policies{}), log: slog.New(slog.DiscardHandler), onReload: func(err error) { reloads <- err },
		load: func() (Options, error) {
			<-goOn
			return Options{}, nil
		},
	}
	tick, ended := make(chan time.Time), make(chan struct{})
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		f.watch(ctx, tick, nil)
		close(ended)
	}()
	tick <- time.Time{}
	tick <- time.Time{}
	if err := <-reloads; !errors.Is(err, errReadingHangs) {
		t.Errorf("while it hangs: %v", err)
	}
	goOn <- struct{}{}
	if err := <-reloads; err != nil {
		t.Errorf("when it goes on: %v", err)
	}
	if err := os.WriteFile(path, []byte("other"), 0o600); err != nil {
		t.Fatal(err)
	}
	for waits := true; waits; { // until the reading before has given its place up
		tick <- time.Time{}
		select {
		case goOn <- struct{}{}:
			waits = false
		case <-time.After(10 * time.Millisecond):
		}
	}
	cancel()
	<-ended
}
