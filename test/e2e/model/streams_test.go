package model

import (
	"slices"
	"strings"
)

// streamFate says whether a listed stream is retired.
func streamFate(d dump, s settings, name string, sessions []*session) (fate, string) {
	k := d.stream(name)
	switch {
	case s.excluded(name):
		return stays, "another installation's"
	case k == nil:
		return stays, "first seen without a key just now"
	case k.kind != "stream":
		return stays, "no stream"
	case k.last == id{}:
		return stays, "first seen empty just now"
	case !isTime(k.last.ms, d.now):
		return stays, "its last id is no time"
	case k.last.ms > d.now || d.now-k.last.ms <= uint64(s.retire.Milliseconds()):
		return stays, "not idle for long enough"
	case slices.ContainsFunc(k.groups, func(g group) bool { return g.active(max(s.retire, groupIdle), d.now) }):
		return stays, "a group may be active"
	}
	out, why := goes, "dead"
	for _, found := range sessions {
		switch found.owns(name) {
		case stays:
			return stays, "session " + found.identity + ": " + found.why
		case either:
			out, why = either, "session "+found.identity+" may name it"
		}
	}
	return out, why
}

// restored says whether an unlisted name is listed again.
func restored(d dump, s settings, name string, sessions []*session) fate {
	k := d.stream(name)
	if k == nil || k.kind != "stream" || s.excluded(name) {
		return stays
	}
	if len(d.listed) > 0 {
		if len(k.entries) == 0 {
			return stays
		}
		newest := k.entries[len(k.entries)-1]
		_, hasID := newest.fields["id"]
		_, hasData := newest.fields["data"]
		if !hasID || !hasData {
			return stays
		}
	}
	for _, found := range sessions {
		if found.stream() == name && (found.why == "live" || found.why == "flowing") {
			return goes // that is, it comes back
		}
		if found.stream() == name && found.why == "malformed" {
			return either
		}
	}
	return stays
}

// guard says whether the mass-deletion guard stops the clean-up.
func guard(d dump, s settings, sessions []*session) fate {
	if s.brakeOff {
		return stays
	}
	if anyHidden(sessions) {
		return either
	}
	count := func(f fate, of func(*session) bool) (n int) {
		for _, found := range sessions {
			if found.fate == f && of(found) {
				n++
			}
		}
		return n
	}
	everyone := func(f *session) bool { return f.why != "another installation's" }
	// What cannot be read is a session if it has a field's name; else it may be nobody's.
	ours := func(f *session) bool {
		return everyone(f) && (f.rta || f.values == nil && strings.Contains(f.raw, "stream"))
	}
	going, left, leftOurs := count(goes, everyone), count(stays, everyone), count(stays, ours)
	open := 0
	for _, found := range sessions {
		if found.fate == goes && !closed(found) {
			open++
		}
	}
	verdict := stays
	if going >= 3 && open > 0 {
		if left == 0 {
			verdict = goes
		} else if leftOurs == 0 {
			verdict = either
		}
	}
	dying, unsure := 0, 0
	for _, name := range d.names() {
		switch f, _ := streamFate(d, s, name, sessions); f {
		case goes:
			dying++
		case either:
			unsure++
		}
	}
	if dying+unsure >= 3 && dying+unsure == len(d.listed) && len(sessions) > going {
		verdict = max(verdict, either)
		if unsure == 0 && leftOurs > 0 {
			verdict = goes
		}
	}
	if going > 20 || dying+unsure > 20 {
		return either
	}
	return verdict
}

// closed says whether the Session JSON says that a session has ended.
func closed(s *session) bool {
	members := object(s.values["json"])
	switch members["state"] {
	case "closed", "truncated", "failed", "abandoned", "4", "12", "28", "44":
		return true
	}
	return false
}
