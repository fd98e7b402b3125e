package web

import (
	"fmt"
	"strings"

	"github.com/streamkeeper/streamkeeper/internal/human"
)

// runbook is what to do about something.
const runbook = "https://github.com/streamkeeper/streamkeeper/blob/main/docs/operations.md#"

// item is something that a person should look at.
type item struct {
	Text string
	// Link leads to its place in the page, to a stream's page or to the runbook.
	Link string
	// Streams are some of those that it is about.
	Streams []listed
}

// Away reports whether the link leads out of our pages.
func (i item) Away() bool { return strings.HasPrefix(i.Link, runbook) }

// items are what needs attention, what explains most of the rest first.
func items(s Status) []item {
	var all []item
	add := func(link, format string, args ...any) {
		all = append(all, item{Text: human.Sentence(fmt.Sprintf(format, args...)), Link: link})
	}
	if s.Redis.Error != "" && s.Redis.Version == "" {
		add(runbook+"streamkeeperredisunreachable", "Redis could not be used since the start, so nothing was done")
	}
	if text, anchor := s.Redis.attention(); text != "" {
		add(runbook+anchor, "%s", text)
	}
	if s.Redis.Refused != "" {
		add(runbook+"streamkeepernosuccessfulrun", "Nothing is removed: %s", s.Redis.Refused)
	}
	if s.Redis.Absence != "" {
		add("#redis", "Nothing to look after: %s", s.Redis.Absence)
	}
	if s.Redis.Denied != "" {
		add(runbook+"streamkeepernosuccessfulrun", "The Redis user lacks rights: %s", s.Redis.Denied)
	}
	if s.NextCleanup.Brake != "" {
		until := ""
		if at := s.NextCleanup.BrakeUntil; !at.IsZero() {
			until = " until " + at.Format("15:04 MST")
		}
		add("#next", "The mass-deletion guard holds the clean-up back%s", until)
	}
	for _, j := range s.Jobs {
		if j.Result == "error" {
			add("#job-"+j.Name, "The last run of %s failed", j.Name)
		}
	}
	for _, p := range s.Pauses {
		text := "Paused: " + p.What + " until " + p.Until.Format("2006-01-02 15:04 MST")
		if p.Reason != "" {
			text += " (" + p.Reason + ")"
		}
		all = append(all, item{Text: text + ". To end it: streamkeeper resume " + p.ID, Link: "#pauses"})
	}
	if s.PausesUnknown != "" {
		add("#pauses", "Nothing is removed, as it is not known what is paused: %s", s.PausesUnknown)
	}
	if s.PoliciesError != "" {
		add(runbook+"streamkeeperpoliciesfaulty", "The policies of before count, as their file is faulty, and the next start would fail: %s", s.PoliciesError)
	}
	if s.NextCleanup.Lost != "" {
		add(runbook+"streamkeeperregistrylost", "%s", capital(s.NextCleanup.Lost))
	}
	switch {
	case s.Leader.Lease == "unwritable":
		add(runbook+"streamkeeperseveralleaders", "There is no lease, so several replicas may work at once: %s", s.Leader.Error)
	case s.Leader.Error != "":
		add(runbook+"streamkeepernoleader", "The lease cannot be had, so no replica may work: %s", s.Leader.Error)
	}
	return append(all, itemsOfStreams(s)...)
}

// maxNamed is how many streams an item names.
const maxNamed = 5

// itemsOfStreams are those that the streams ask for.
func itemsOfStreams(s Status) (all []item) {
	of := func(show, one, many string) {
		it := item{Link: "?show=" + show + "#streams"}
		n := int64(0)
		for i := range s.Streams.Largest {
			l := listed{Stream: s.Streams.Largest[i]}
			if !l.shows(show) {
				continue
			}
			if n++; n <= maxNamed {
				it.Streams = append(it.Streams, l)
			}
		}
		if n > 0 {
			it.Text = plural(n, one, many) + "."
			all = append(all, it)
		}
	}
	of(showInvalid, "stream has invalid messages", "streams have invalid messages")
	of(showOver, "stream is well over the limit", "streams are well over the limit")
	return all
}

// failed are the checks that were not passed.
func failed(checks []Check) (all []item) {
	for _, c := range checks {
		if c.OK {
			continue
		}
		it := item{Text: human.Sentence(capital(c.Name) + " " + c.Reason), Link: "#checks"}
		if job, found := strings.CutPrefix(c.Name, jobPrefix); found {
			it.Link = "#job-" + job
		} else if c.Name == "redis" {
			it.Link = runbook + "streamkeeperredisunreachable"
		}
		all = append(all, it)
	}
	return all
}
