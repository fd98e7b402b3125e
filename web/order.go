package web

import (
	"cmp"
	"slices"
	"time"
)

// sortKey orders streams by one column.
type sortKey struct {
	name, title string
	compare     func(a, b Stream) int
	// ascending is the order that comes first when the column is chosen.
	ascending bool
}

// sortKeys are the columns of the table in their order.
func sortKeys() []sortKey {
	return []sortKey{
		{name: "name", title: "Stream", ascending: true, compare: func(a, b Stream) int { return cmp.Compare(a.Name, b.Name) }},
		{name: "memory", title: "Memory", compare: compareMemory},
		{name: "length", title: "Length", compare: func(a, b Stream) int { return cmp.Compare(a.Entries, b.Entries) }},
		{name: "limit", title: "Of limit", compare: func(a, b Stream) int { return cmp.Compare(a.fill(), b.fill()) }},
		{name: "coverage", title: "Coverage", compare: func(a, b Stream) int { return compareKnown(a.Coverage, b.Coverage) }},
		{name: "idle", title: "Idle", compare: func(a, b Stream) int { return compareKnown(a.Idle, b.Idle) }},
		{name: "trim", title: "Last trim", compare: func(a, b Stream) int { return compareTimes(a.Trimmed, b.Trimmed) }},
		{name: "encoding", title: "Encoding", ascending: true, compare: func(a, b Stream) int { return cmp.Compare(a.Encoding, b.Encoding) }},
		{name: "verdict", title: "Verdicts", compare: compareVerdicts},
	}
}

func (s Stream) fill() float64 {
	if s.Limit <= 0 {
		return 0
	}
	return float64(s.Entries) / float64(s.Limit)
}

// compareKnown puts what is not known below all that is.
func compareKnown(a, b *float64) int {
	switch {
	case a == nil && b == nil:
		return 0
	case a == nil:
		return -1
	case b == nil:
		return 1
	}
	return cmp.Compare(*a, *b)
}

// compareMemory orders streams whose memory is the same, or not known, by length.
func compareMemory(a, b Stream) int {
	return cmp.Or(cmp.Compare(a.Bytes, b.Bytes), cmp.Compare(a.Entries, b.Entries))
}

func compareTimes(a, b time.Time) int { return a.Compare(b) }

func compareVerdicts(a, b Stream) int {
	return cmp.Or(cmp.Compare(a.Invalid, b.Invalid), cmp.Compare(a.Warn, b.Warn), cmp.Compare(a.OK, b.OK))
}

// order is how the table is sorted.
type order struct {
	key  string
	desc bool
}

// parseOrder reads ?sort= and ?order=; what it does not know means the streams
// that take most memory first.
func parseOrder(key, direction string) order {
	for _, k := range sortKeys() {
		if k.name == key {
			desc := !k.ascending
			if direction == "asc" || direction == "desc" {
				desc = direction == "desc"
			}
			return order{key, desc}
		}
	}
	return order{"memory", true}
}

// direction is the value of ?order=.
func (o order) direction() string {
	if o.desc {
		return "desc"
	}
	return "asc"
}

func (o order) sort(streams []listed) {
	for _, k := range sortKeys() {
		if k.name != o.key {
			continue
		}
		slices.SortStableFunc(streams, func(a, b listed) int {
			by := k.compare(a.Stream, b.Stream)
			if o.desc {
				by = -by
			}
			return cmp.Or(by, cmp.Compare(a.Name, b.Name))
		})
	}
}

// column is a heading of the table.
type column struct {
	Name, Title string
	// Link sorts by the column, the other way round if it is sorted by already.
	Link string
	// Sorted is `ascending`, `descending` or empty, as aria-sort has it.
	Sorted string
}

func (q query) columns() []column {
	var all []column
	for _, k := range sortKeys() {
		c := column{Name: k.name, Title: k.title}
		by := query{order: order{k.name, !k.ascending}, sorted: true, search: q.search, show: q.show}
		if k.name == q.key {
			by.desc = !q.desc
			c.Sorted = "ascending"
			if q.desc {
				c.Sorted = "descending"
			}
		}
		c.Link = by.link()
		all = append(all, c)
	}
	return all
}
