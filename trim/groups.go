package trim

import (
	"time"

	"github.com/streamkeeper/streamkeeper/buffer"
)

// guard says which of the stream's groups count: one without consumers counts
// until it was seen so for long enough, as Redis does not know since when.
func (r *run) guard(stream string) *buffer.GroupGuard {
	g := &buffer.GroupGuard{IdleAfter: r.o.GroupIdleAfter}
	for name, since := range r.lonely[stream] {
		if r.now.Sub(since) > r.o.GroupIdleAfter {
			g.Ignore = append(g.Ignore, name)
		}
	}
	return g
}

// seeGroups notes which groups of the stream have no consumers now.
func (r *run) seeGroups(stream string, out buffer.Trimmed) {
	if !r.o.RespectGroups {
		return
	}
	before := r.lonely[stream]
	delete(r.lonely, stream)
	for _, name := range out.Lonely {
		since, ok := before[name]
		if !ok {
			since = r.now
		}
		if r.lonely[stream] == nil {
			r.lonely[stream] = make(map[string]time.Time)
			r.met[stream] = true
		}
		r.lonely[stream][name] = since
	}
	if out.HeldBy != "" {
		r.o.Log.Debug("a consumer group holds trimming back", "stream", buffer.Escape(stream), "group", buffer.Escape(out.HeldBy))
	}
}

// forgetGroups forgets the groups of streams that are listed no longer; the
// walk must have been complete.
func (r *run) forgetGroups() {
	for stream := range r.lonely {
		if !r.met[stream] {
			delete(r.lonely, stream)
		}
	}
}
