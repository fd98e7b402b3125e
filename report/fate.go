package report

import (
	"fmt"
	"strings"
	"time"

	"github.com/streamkeeper/streamkeeper/cleanup"
	"github.com/streamkeeper/streamkeeper/explain"
	"github.com/streamkeeper/streamkeeper/internal/human"
)

const othersReason = "STREAMS_INCLUDE and STREAMS_EXCLUDE leave it to others"

// fateOf says what clean-up does with a stream, why, and when it retires if nothing
// comes any more.
func fateOf(s *explain.Stream, r explain.Result) (fate, reason string, at *time.Time) {
	if s.Others {
		return "stays", othersReason, nil
	}
	if s.Unjudged != "" && (s.Listed || s.Info.Type != "none") {
		return "not known here", s.Unjudged, nil
	}
	if s.Info.Type == "none" && !s.Listed {
		switch at := retiredAt(s); {
		case at != nil:
			return "retired", "retired by streamkeeper " + ago(r.Now.Sub(*at)), nil
		case s.Retired.Dropped && !s.Retired.Restored:
			return "gone", "there was no key, so streamkeeper took its name out " + ago(r.Now.Sub(s.Retired.At)), nil
		case s.Named > 0:
			return "gone", "there is no key, and the set does not list it; " + withSessions(s), nil
		}
		return "gone", "there is no key, and the set does not list it", nil
	}
	fate, reason, at = fateOfListed(s, r)
	if r.CleanupOff && fate != "stays" {
		return "stays", cleanupOff + "; else " + fate + ": " + reason, nil
	}
	if r.CleanupOff && at != nil {
		return fate, cleanupOff + "; else: " + reason, nil
	}
	return fate, reason, at
}

// retiredAt is when a stream was retired by us, nil where that is not remembered.
func retiredAt(s *explain.Stream) *time.Time {
	if s.Retired.Dropped || s.Retired.Restored {
		return nil
	}
	return timeOf(s.Retired.At)
}

// fateOfListed is what the next run of clean-up makes of it.
func fateOfListed(s *explain.Stream, r explain.Result) (fate, reason string, at *time.Time) {
	if s.Fate == nil {
		return "stays", withSessions(s), nil
	}
	due := time.Time{}
	if !s.Info.LastID.IsZero() && s.Info.LastID.IsTime(r.Now) {
		due = s.Info.LastID.Time().Add(r.Limits.RetireAfter)
	}
	switch s.Fate.Fate {
	case cleanup.Retirable, cleanup.Droppable:
		fate = string(cleanup.Retire)
		if s.Fate.Fate == cleanup.Droppable {
			fate = string(cleanup.DropName)
		}
		if r.Brake != "" {
			return "stays", guarded(r), nil
		}
		if why, found := strings.CutPrefix(s.Fate.Reason, "no session,"); found && s.Named > 0 {
			return fate, "no live session," + why, nil
		}
		return fate, s.Fate.Reason, nil
	case cleanup.Watch:
		what, seen := "has never had an entry", ""
		if s.Info.Type == "none" {
			what = "has no key"
		}
		if !s.Fate.Sighted.IsZero() {
			seen = ", first seen so " + ago(r.Now.Sub(s.Fate.Sighted))
		}
		return "stays", fmt.Sprintf("%s, and it %s%s (limit %s)", unnamed(s), what, seen, human.Duration(r.Limits.RetireAfter)), nil
	case cleanup.WrongType:
		return "stays", "its key is a " + s.Info.Type + ", no stream", nil
	case cleanup.WrongID:
		return "stays", "its last id is no time", nil
	case cleanup.Unknown:
		return "stays", "it could not be asked", nil
	case cleanup.Keep:
	}
	if s.Fate.Reason != "" {
		return "stays", s.Fate.Reason, nil
	}
	if !due.IsZero() && due.After(r.Now) {
		return "stays", fmt.Sprintf("%s; its last entry came %s (limit %s)", unnamed(s), ago(r.Now.Sub(s.Info.LastID.Time())), human.Duration(r.Limits.RetireAfter)), timeOf(due)
	}
	return "stays", unnamed(s) + "; a consumer group may be active", nil
}

// unnamed says that no session keeps it.
func unnamed(s *explain.Stream) string {
	if s.Named > 0 {
		return "no live session names it"
	}
	return "no session names it"
}

func withSessions(s *explain.Stream) string {
	switch {
	case s.Named == 1:
		return "a session names it"
	case s.Named > 0:
		return plural(s.Named, "session") + " name it"
	case !s.Listed:
		return "the set of streams does not list it: it is neither trimmed nor retired"
	}
	return "a session that cannot be read may name it"
}

func ago(d time.Duration) string { return human.Duration(max(0, d)) + " ago" }

// guarded says that the mass-deletion guard stops the clean-up, and what ends that.
func guarded(r explain.Result) string {
	return "the mass-deletion guard stops the clean-up: " + r.Brake + cleanup.ReleaseText(r.BrakeUntil) + "; to do it all the same: " + cleanup.ForceCommand
}
