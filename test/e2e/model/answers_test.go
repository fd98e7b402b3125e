package model

import (
	"encoding/json"
	"os"
	"os/exec"

	"github.com/streamkeeper/streamkeeper/internal/program"
)

// planJSON and onceJSON are what the contract says of -o json.
type planJSON struct {
	Summary map[string]any
	Actions []action
	// Protected says of the streams that are over a limit what stays of it.
	Protected []action
}

type action struct {
	Action, Stream, Session, Reason string
	Entries                         int
	Estimated                       bool
}

func (p planJSON) of(kind string) (all []action) {
	for _, a := range p.Actions {
		if a.Action == kind {
			all = append(all, a)
		}
	}
	return all
}

type onceJSON struct{ Jobs []jobJSON }

type jobJSON struct {
	Job             string
	OK              bool
	Error           string
	Errors          int
	EntriesRemoved  int `json:"entries_removed"`
	SessionsExpired int `json:"sessions_expired"`
	StreamsRetired  int `json:"streams_retired"`
	StreamsRestored int `json:"streams_restored"`
	NamesDropped    int `json:"names_dropped"`
	Brake           string
}

func (o onceJSON) job(name string) jobJSON {
	for _, j := range o.Jobs {
		if j.Job == name {
			return j
		}
	}
	return jobJSON{}
}

// jsonOf runs a command with -o json.
func jsonOf[T any](r *run, args ...string) (code int, out T) {
	r.Helper()
	path := os.Getenv("MODEL_PROGRAM")
	if path == "" {
		path = program.Path(r)
	}
	cmd := exec.Command(path, append(args, "-o", "json")...)
	cmd.Env = append(r.scenario.settings.environment(), "STREAMKEEPER_REDIS_URL="+r.server.URL())
	code, stdout, stderr := program.RunCommand(r, cmd)
	if err := json.Unmarshal([]byte(stdout), &out); err != nil {
		r.fail("%v: exit %d, %v in %q, stderr %s", args, code, err, stdout, stderr)
	}
	if code != 0 && code != 3 {
		r.Logf("%v: exit %d, stderr %s", args, code, stderr)
	}
	return code, out
}
