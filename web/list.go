package web

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// onAPage is how many streams a page lists.
const onAPage = 50

// longestSearch is how long a text is that is searched for.
const longestSearch = 200

// What ?show= chooses.
const (
	showOver    = "over"
	showInvalid = "invalid"
)

// query is which streams a page lists, and in what order.
type query struct {
	order
	// sorted: the order was asked for.
	sorted bool
	// search is a part of names, and show one of the constants above or empty.
	search, show string
	// page counts from 1.
	page int
}

func parseQuery(r *http.Request) query {
	values := r.URL.Query()
	q := query{order: parseOrder(values.Get("sort"), values.Get("order")), sorted: values.Get("sort") != "", show: values.Get("show")}
	if q.show != showOver && q.show != showInvalid {
		q.show = ""
	}
	q.search = strings.ToValidUTF8(values.Get("q"), "")
	q.search = strings.ToValidUTF8(q.search[:min(len(q.search), longestSearch)], "")
	q.page, _ = strconv.Atoi(values.Get("page"))
	q.page = max(1, q.page)
	return q
}

// link is the same query with another order or page.
func (q query) link() string {
	values := make(url.Values)
	for name, value := range map[string]string{"q": q.search, "show": q.show} {
		if value != "" {
			values.Set(name, value)
		}
	}
	if q.sorted {
		values.Set("sort", q.key)
		values.Set("order", q.direction())
	}
	if q.page > 1 {
		values.Set("page", strconv.Itoa(q.page))
	}
	return "?" + values.Encode() + "#streams"
}

// listed is a stream in the list.
type listed struct {
	Stream
	// Bare: only its name, its entries and about its memory are known.
	Bare bool
}

// Link leads to the page of the stream, Shown is its name, cut if it is long.
func (l listed) Link() string  { return linkOf(l.Name) }
func (l listed) Shown() string { return shown(l.Name) }

// list is a page of the list of streams.
type list struct {
	Search, Show string
	// Sort and Order are to be kept by a search; empty where nobody asked for them.
	Sort, Order string
	Columns     []column
	Rows        []listed
	// First and Last are the numbers of the rows among all that were Found.
	First, Last, Found int
	Previous, Next     string
	// Known is how many streams are listed by name, Unlisted how many are not, with
	// so many entries that take about so many bytes.
	Known, Unlisted               int64
	UnlistedEntries, UnlistedSize int64
	// Exact leads to the stream whose name was searched for, Clear to all.
	Exact, Clear string
}

func newList(q query, s Streams) list {
	l := list{Search: q.search, Show: q.show, Columns: q.columns(), Unlisted: s.Others, UnlistedEntries: s.OtherEntries, UnlistedSize: s.OtherBytes}
	if q.sorted {
		l.Sort, l.Order = q.key, q.direction()
	}
	var rows []listed
	wanted := strings.ToLower(q.search)
	offer := func(row listed) {
		l.Known++
		if strings.Contains(strings.ToLower(row.Name), wanted) && row.shows(q.show) {
			rows = append(rows, row)
		}
	}
	for i := range s.Largest {
		offer(listed{Stream: s.Largest[i]})
	}
	if s.Named != nil {
		s.Named(func(name string, entries, bytes int64) {
			offer(listed{Stream: Stream{Name: name, Entries: entries, Bytes: bytes, Estimated: true}, Bare: true})
			l.Unlisted, l.UnlistedEntries, l.UnlistedSize = l.Unlisted-1, l.UnlistedEntries-entries, l.UnlistedSize-bytes
		})
	}
	l.Unlisted, l.UnlistedEntries, l.UnlistedSize = max(0, l.Unlisted), max(0, l.UnlistedEntries), max(0, l.UnlistedSize)
	q.sort(rows)
	l.cut(q, rows)
	if q.search != "" || q.show != "" {
		all := q
		all.search, all.show, all.page = "", "", 1
		l.Clear = all.link()
	}
	if _, _, err := nameOf(url.PathEscape(q.search)); q.search != "" && err == nil {
		l.Exact = linkOf(q.search)
	}
	return l
}

// cut takes a page of the rows.
func (l *list) cut(q query, rows []listed) {
	l.Found = len(rows)
	pages := max(1, (len(rows)+onAPage-1)/onAPage)
	q.page = min(q.page, pages)
	first := (q.page - 1) * onAPage
	l.Rows = slices.Clip(rows[first:min(len(rows), first+onAPage)])
	l.First, l.Last = first+1, first+len(l.Rows)
	if q.page > 1 {
		previous := q
		previous.page--
		l.Previous = previous.link()
	}
	if q.page < pages {
		next := q
		next.page++
		l.Next = next.link()
	}
}

// shows reports whether ?show= chooses a stream.
func (l listed) shows(show string) bool {
	switch show {
	case showOver:
		return l.overLimit()
	case showInvalid:
		return l.Invalid > 0
	}
	return true
}
