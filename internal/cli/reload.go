package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"reflect"
	"time"

	"github.com/streamkeeper/streamkeeper/internal/jobs"
	"github.com/streamkeeper/streamkeeper/internal/rescue"
	"github.com/streamkeeper/streamkeeper/internal/secret"
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

	// patience is how long a reading may take.
	patience time.Duration

	// judged is the content that was read last, or why it could not be.
	judged string
}

// watch compares the file at each tick, and reads it when it is asked to, until
// ctx ends. What hangs, as a file of a server that is away, holds up nothing
// else: it is said, and tried again.
func (f *policyFile) watch(ctx context.Context, tick <-chan time.Time, asked <-chan os.Signal) {
	idle := make(chan struct{}, 1) // holds a token while nothing is being read
	idle <- struct{}{}
	var begun time.Time
	read := func(how func()) {
		select {
		case <-idle:
			begun = time.Now()
			go func() {
				how()
				idle <- struct{}{}
			}()
		default:
			if hangs := time.Since(begun); hangs > f.patience {
				f.onReload(fmt.Errorf("%w for %s", errReadingHangs, hangs.Truncate(time.Second)))
				f.log.Error("cannot reload policies", "file", f.path, "error", errReadingHangs)
			}
		}
	}
	for {
		select {
		case <-ctx.Done():
			select {
			case <-idle:
			case <-time.After(lastReading):
			}
			return
		case <-tick:
			read(f.compare)
		case <-asked:
			read(f.reread)
		}
	}
}

// lastReading is how long a reading that is under way is waited for at the end.
const lastReading = 100 * time.Millisecond

// errReadingHangs is told of a file whose reading does not end.
var errReadingHangs = errors.New("reading the file hangs")

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
	content, err := secret.File(f.path, jobs.MaxPoliciesFile)
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
