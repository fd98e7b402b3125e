package cli

import (
	"maps"
	"sync"
	"time"

	"github.com/streamkeeper/streamkeeper/explain"
	"github.com/streamkeeper/streamkeeper/internal/jobs"
	"github.com/streamkeeper/streamkeeper/metrics"
	"github.com/streamkeeper/streamkeeper/web"
)

// news is what only a leader knows: what its runs did, and what it read. It goes
// with the lead, from the page and from the metrics at once: another replica has
// later news.
type news struct {
	observers observers

	mu      sync.Mutex
	leading bool
	last    map[string]lastRun
	recent  *web.Recent
	// diagnosis is what the doctor saw after the last clean-up.
	diagnosis diagnosis
	// judgement is what the last clean-up made of sessions and streams; nil before.
	judgement *explain.Judgement
	// absence is where the buffer was looked for, if there was none.
	absence string
}

// lastRun is a run that ended, and the last one that ended well.
type lastRun struct {
	result, good jobs.Result
	goodAt       time.Time
}

func newNews(m observers) *news {
	return &news{observers: m, last: make(map[string]lastRun), recent: new(web.Recent)}
}

// lead notes whether this replica leads.
func (n *news) lead(yes bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.leading = yes
	n.observers.Leader(yes)
	if !yes {
		n.last, n.recent, n.diagnosis = make(map[string]lastRun), new(web.Recent), diagnosis{}
		n.judgement, n.absence = nil, ""
	}
}

// ran notes what a run did.
func (n *news) ran(job string, result jobs.Result, err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if !n.leading {
		return
	}
	last := n.last[job]
	last.result = result
	if err == nil {
		last.good, last.goodAt = result, time.Now()
	}
	n.last[job] = last
}

// examined notes what the doctor saw.
func (n *news) examined(d diagnosis) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.leading {
		n.diagnosis = d
	}
}

// judged notes what a clean-up made of sessions and streams.
func (n *news) judged(j *explain.Judgement) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.leading {
		n.judgement = j
	}
}

// cleanup is what the last clean-up made of sessions and streams, nil before one, and
// why the guard stopped it, empty if it did not.
func (n *news) cleanup() (j *explain.Judgement, brake string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if r, ok := n.last[jobs.Cleanup].good.(*jobs.CleanupResult); ok {
		brake = r.Brake
	}
	return n.judgement, brake
}

// judge fills a judgement while a clean-up runs.
type judge struct {
	*explain.Judgement
	news *news
}

// Begin implements [jobs.CleanupListener].
func (j *judge) Begin() { j.Judgement = explain.NewJudgement(j.news.observers.Labelled()) }

// End implements [jobs.CleanupListener].
func (j *judge) End(err error) {
	if err == nil {
		j.news.judged(j.Judgement)
	}
}

// absent notes where the buffer was looked for, empty if it was found. It reports
// whether that is new: that there is none.
func (n *news) absent(absence string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if !n.leading {
		return false
	}
	before := n.absence
	n.absence = absence
	return before == "" && absence != ""
}

// failed notes an error of a job.
func (n *news) failed(job string, err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.leading {
		n.recent.Add(time.Now(), job, err)
	}
}

// knowledge is what a leader knows at one moment. That of a follower is empty.
type knowledge struct {
	last      map[string]lastRun
	errors    []web.Error
	diagnosis diagnosis
	absence   string
	streams   metrics.Snapshot
}

func (n *news) known() knowledge {
	n.mu.Lock()
	defer n.mu.Unlock()
	return knowledge{maps.Clone(n.last), n.recent.Errors(), n.diagnosis, n.absence, n.observers.Snapshot()}
}
