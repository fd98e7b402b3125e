package cleanup

import (
	"time"
)

// overflowLimits is for how many times the retire limit sessions that cannot be
// read, and are too many to be kept in mind, hold back every retirement.
const overflowLimits = 7

// overflowSince is when such sessions were first seen: now, unless a run before
// noted it.
func (r *run) overflowSince() time.Time {
	since := time.UnixMilli(r.guard.left[leftOverflow]).UTC()
	if r.guard.left[leftOverflow] <= 0 || since.After(r.now) {
		return r.now
	}
	return since
}

// holdsAll reports whether they hold back every retirement. Where it cannot be
// noted since when, they go on doing so.
func (r *run) holdsAll() bool {
	return r.streams.unreadable.Overflow() && r.now.Sub(r.overflowSince()) <= overflowLimits*r.o().Limits.RetireAfter
}

// logHoldsAll says so, once a run.
func (r *run) logHoldsAll() {
	if !r.holdsAll() {
		return
	}
	r.o().Log.Warn("unreadable sessions hold back retirement", "until", r.overflowSince().Add(overflowLimits*r.o().Limits.RetireAfter).Format(time.RFC3339),
		"reason", "they mention streamName and take more than 1 MiB: any of them may own a stream")
}
