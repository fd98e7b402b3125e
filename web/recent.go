package web

import (
	"slices"
	"sync"
	"time"
)

// maxRecent is how many errors the page shows.
const maxRecent = 10

// Recent keeps the last errors for the page. The zero value is ready; its
// methods may be called by several goroutines at once.
type Recent struct {
	mu  sync.Mutex
	all []Error // the newest first
}

// Add notes what went wrong in a job or a part. One that repeats the newest of
// the same source only counts.
func (r *Recent) Add(now time.Time, source string, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	e := Error{Time: now.UTC(), Source: source, Text: err.Error(), Count: 1}
	if i := slices.IndexFunc(r.all, func(old Error) bool { return old.Source == source }); i >= 0 && r.all[i].Text == e.Text {
		e.Count += r.all[i].Count
		r.all = slices.Delete(r.all, i, i+1)
	}
	r.all = slices.Insert(r.all, 0, e)
	r.all = r.all[:min(len(r.all), maxRecent)]
}

// Errors are the last errors, the newest first.
func (r *Recent) Errors() []Error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.all)
}
