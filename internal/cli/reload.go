package cli

import (
	"context"
	"log/slog"
	"os"
	"reflect"
	"time"

	"github.com/streamkeeper/streamkeeper/internal/jobs"
	"github.com/streamkeeper/streamkeeper/internal/rescue"
)

// reloadEvery is how often the file of the policies is compared.
const reloadEvery = 10 * time.Second

// policyFile is the file of the policies, which is read again when its content
// changes. A faulty one changes nothing: the last good rules stay.
type policyFile struct {
	path string
	// load reads the whole configuration, with the file.
	load func() (Options, error)
	live *jobs.LivePolicies
	// onReload hears how reading it went.
	onReload func(error)
	log      *slog.Logger

	// judged is the content that was read last, or why it could not be.
	judged string
}

// watch compares the file at each tick, and reads it when it is asked to, until
// ctx ends.
func (f *policyFile) watch(ctx context.Context, tick <-chan time.Time, asked <-chan os.Signal) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick:
			f.compare()
		case <-asked:
			f.reread()
		}
	}
}

// reread reads the file even if it is as it was.
func (f *policyFile) reread() {
	f.judged = ""
	f.compare()
}

// compare reads the file again if it is not as it was.
func (f *policyFile) compare() {
	if f.path == "" {
		return
	}
	content, err := os.ReadFile(f.path)
	state := "content: " + string(content)
	if err != nil {
		state = "fault: " + err.Error()
	}
	if state == f.judged {
		return
	}
	f.judged = state
	var options Options
	err = rescue.Call(func() (err error) {
		options, err = f.load()
		return err
	})
	f.onReload(err)
	if err != nil {
		f.log.Error("cannot reload policies", "file", f.path, "error", err)
		return
	}
	if policies := options.Jobs.Trim.Policies; !reflect.DeepEqual(policies, *f.live.Now()) {
		f.live.Replace(policies)
		f.log.Info("reloaded policies", "file", f.path, "rules", len(policies.Rules))
	}
}
