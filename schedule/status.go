package schedule

import "time"

// Status is a snapshot of a Scheduler.
type Status struct {
	Leader bool
	Lease  LeaseState
	// LeaseError is why the lease cannot be had, nil where nothing is wrong with it.
	LeaseError error
	Stopping   bool // the context of Run has ended
	Jobs       []JobStatus
}

// JobStatus is a snapshot of one job. Times are UTC, and zero for never.
type JobStatus struct {
	Name     string
	Schedule string
	Running  bool
	// Hangs says that the run under way has taken three periods of its schedule and
	// the lease's time to live.
	Hangs bool
	// Result, LastDuration: of the last run that ended; empty before the first.
	Result       Result
	LastStart    time.Time
	LastDuration time.Duration
	LastSuccess  time.Time
	// LastFailure and LastError stay when a later run goes well. What a leader's job
	// did goes with the lead.
	LastFailure time.Time
	LastError   error
	// NextRun is zero while the job is not scheduled here, as on a follower.
	NextRun time.Time
	// Overdue says that three scheduled times have passed since the last success, or
	// since this replica took the job on. A follower has no overdue job of the leader's.
	Overdue bool
}

// record is what is kept of a job between snapshots.
type record struct {
	JobStatus
	begun time.Time // when the run under way was started
	// These are on the clock of the job's schedule.
	since     time.Time // when this replica took the job on
	succeeded time.Time // when its last successful run ended
	next      time.Time
}

// Status tells how the Scheduler and its jobs are. It may be called at any time.
func (s *Scheduler) Status() Status {
	lease, problem := LeaseNone, error(nil)
	if s.elector != nil {
		lease, _ = s.elector.current()
		problem = s.elector.trouble()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.elector != nil && s.term == nil {
		lease = LeaseStandby // the lease comes a moment before the lead
	}
	status := Status{Leader: s.term != nil, Lease: lease, LeaseError: problem, Stopping: s.stopping}
	for _, j := range s.jobs {
		status.Jobs = append(status.Jobs, s.jobStatus(j))
	}
	return status
}

// Overdue names the jobs that are overdue.
func (s Status) Overdue() []string {
	var names []string
	for _, j := range s.Jobs {
		if j.Overdue {
			names = append(names, j.Name)
		}
	}
	return names
}

// jobStatus is called with mu held.
func (s *Scheduler) jobStatus(j *job) JobStatus {
	status := j.JobStatus
	status.Name, status.Schedule = j.Name, j.Schedule
	if !j.next.IsZero() {
		// By the difference, since the wall clock may have been set meanwhile.
		status.NextRun = s.wall().Add(j.next.Sub(j.now()))
	}
	status.Hangs = s.hangs(j)
	ours := !j.since.IsZero() && (!j.Leader || s.term != nil)
	status.Overdue = ours && j.overdue()
	return status
}

// overdue is called with mu held.
func (j *job) overdue() bool {
	due := j.since
	if j.succeeded.After(due) {
		due = j.succeeded
	}
	for range 3 {
		due = j.schedule.Next(due)
		if due.IsZero() {
			return false // not within the next years
		}
	}
	return j.now().After(due)
}

// announce notes when the job is to run next; zero is never.
func (s *Scheduler) announce(j *job, next time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	j.next = next
}

// forget leaves of the leader's jobs only which runs are still ending. It is called
// with mu held.
func (s *Scheduler) forget() {
	for _, j := range s.jobs {
		switch {
		case j.Leader && j.Running:
			j.JobStatus = JobStatus{Running: true, LastStart: j.LastStart}
		case j.Leader:
			j.JobStatus = JobStatus{}
		}
	}
}

func (s *Scheduler) noteStart(j *job, at time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	j.Running, j.begun = true, time.Now()
	j.LastStart = at
}

func (s *Scheduler) noteEnd(j *job, o Outcome) {
	s.mu.Lock()
	defer s.mu.Unlock()
	j.Running = false
	if j.Leader {
		s.progress = time.Now()
		if s.term == nil {
			j.JobStatus = JobStatus{} // old news
			return
		}
	}
	j.Result, j.LastDuration = o.Result, o.Duration
	switch o.Result {
	case OK, Skipped:
		j.LastSuccess = s.wall()
		j.succeeded = j.now()
	case Failed:
		j.LastFailure = s.wall()
		j.LastError = o.Err
	}
}
