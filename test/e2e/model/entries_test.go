package model

import (
	"slices"
	"time"
)

// settings are what a case runs under.
type settings struct {
	policy        policy // of streams that no rule names
	rules         []rule
	respectGroups bool

	expire, retire time.Duration
	brakeOff       bool
	layouts        []string // none for auto
	exclude        string   // a stream's name, empty for none
}

// policy is what a stream may keep.
type policy struct {
	length         int
	age, minAge    time.Duration
	exact, keepAll bool
}

// rule is an override by name; "*" is every name.
type rule struct {
	name string
	policy
}

// excluded says whether a stream is another installation's.
func (s settings) excluded(name string) bool { return s.exclude != "" && name == s.exclude }

func (s settings) policyOf(name string) policy {
	for _, r := range s.rules {
		if r.name == "*" || r.name == name {
			return r.policy
		}
	}
	return s.policy
}

// day is how far ahead of Redis's clock a time may be.
const day = 24 * 3600 * 1000

// isTime says whether milliseconds are a time: from 2001 on, at most a day ahead.
func isTime(ms, now uint64) bool { return ms >= 1_000_000_000_000 && ms <= now+day }

// kept is what is right for the entries of a stream, as numbers of entries in
// front: those from must on stay, and nothing in front of may does.
type kept struct {
	must, may int
	limit     int // what the limits alone would keep from
	protected bool
}

// entriesOf reads "A policy keeps …" and what protects beside it.
func entriesOf(k *key, p policy, respectGroups bool, now uint64) kept {
	n := len(k.entries)
	if p.keepAll {
		return kept{}
	}
	from := 0
	if p.length > 0 {
		from = max(0, n-p.length)
	}
	timed := isTime(k.last.ms, now)
	if p.age > 0 && timed {
		from = max(from, youngerThan(k, p.age, now))
	}
	limit, must, unsure := from, from, from
	if p.minAge > 0 {
		must = min(must, youngerThan(k, p.minAge, now))
		if timed || must < n && isTime(k.entries[must].id.ms, now) { // else nothing says how old an entry is
			unsure = must
		}
	}
	if respectGroups {
		for _, g := range k.groups {
			if !g.active(groupIdle, now) {
				continue
			}
			must = min(must, g.floor(k))
			unsure = min(unsure, g.floor(k))
		}
	}
	out := kept{must: unsure, limit: limit, protected: must < limit}
	out.may = must
	if !p.exact {
		out.may = nodeFloor(k, must)
		// Where a macro node alone is larger than what the limits leave,
		// approximate trimming becomes exact. No more than a usual node are waited
		// for, as long as others are more.
		waits := limit <= usualNode && limit < n-limit
		if !out.protected && !waits && nodeSize(k, limit) > max(n-limit, 0) && nodeSize(k, limit) > 2*usualNode {
			out.may = must
		}
	}
	return out
}

// groupIdle is the default of TRIM_GROUP_IDLE_AFTER.
const groupIdle = time.Hour

// usualNode is Redis's default of entries in a macro node.
const usualNode = 100

// youngerThan is how many entries are in front of the first that is not older.
func youngerThan(k *key, age time.Duration, now uint64) int {
	since := now - uint64(age.Milliseconds())
	i := slices.IndexFunc(k.entries, func(e entry) bool { return e.id.ms >= since })
	if i < 0 {
		return len(k.entries)
	}
	return i
}

// floor is how many entries are in front of the first that a group has not read
// and acknowledged. Pending ids whose entries are gone protect nothing.
func (g group) floor(k *key) int {
	for i, e := range k.entries {
		if g.delivered.less(e.id) || slices.Contains(g.pending, e.id) {
			return i
		}
	}
	return len(k.entries)
}

// nodeFloor is where the macro node that holds entry i begins.
func nodeFloor(k *key, i int) int {
	begin := 0
	for _, end := range k.nodes {
		if i < end {
			return begin
		}
		begin = end
	}
	return begin
}

// nodeSize is how many entries the macro node that holds entry i has.
func nodeSize(k *key, i int) int {
	begin := 0
	for _, end := range k.nodes {
		if i < end {
			return end - begin
		}
		begin = end
	}
	return 0
}
