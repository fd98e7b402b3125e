package report

import (
	"fmt"
	"strings"
	"sync"
	"text/tabwriter"
	"time"

	"github.com/streamkeeper/streamkeeper/internal/human"
	"github.com/streamkeeper/streamkeeper/internal/jobs"
)

// Board is the table of once while its jobs are under way. Its methods may be
// called from several goroutines.
type Board struct {
	dryRun bool
	now    func() time.Time

	mu   sync.Mutex
	jobs []*boardJob
}

// boardJob is a row: a job that waits, runs since started, or has ended.
type boardJob struct {
	name    string
	started time.Time
	doing   string
	ended   jobs.Result
}

// NewBoard makes a board of jobs, in the order in which they will be done.
func NewBoard(names []string, dryRun bool) *Board {
	b := &Board{dryRun: dryRun, now: time.Now}
	for _, name := range names {
		b.jobs = append(b.jobs, &boardJob{name: name})
	}
	return b
}

// change lets one row be changed.
func (b *Board) change(job string, by func(*boardJob)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, j := range b.jobs {
		if j.name == job {
			by(j)
		}
	}
}

// Start notes that a job is under way.
func (b *Board) Start(job string) {
	b.change(job, func(j *boardJob) { j.started = b.now() })
}

// Doing notes how far a job is.
func (b *Board) Doing(job, doing string) {
	b.change(job, func(j *boardJob) { j.doing = doing })
}

// End notes how a job ended.
func (b *Board) End(result jobs.Result) {
	b.change(result.Outcome().Job, func(j *boardJob) { j.ended = result })
}

// Rows are the table as of now.
func (b *Board) Rows(int) []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	var text strings.Builder
	t := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, strings.Join(onceHeading(), "\t"))
	for _, j := range b.jobs {
		for _, row := range j.rows(b.now(), b.dryRun) {
			fmt.Fprintln(t, strings.Join(row, "\t"))
		}
	}
	_ = t.Flush()
	return strings.Split(strings.TrimSuffix(text.String(), "\n"), "\n")
}

func (j *boardJob) rows(now time.Time, dryRun bool) [][]string {
	switch {
	case j.ended != nil:
		return onceRows(j.ended, dryRun)
	case j.started.IsZero():
		return [][]string{{j.name, "waiting", "", ""}}
	}
	return [][]string{{j.name, "running", human.Duration(now.Sub(j.started).Truncate(time.Second)), j.doing}}
}
