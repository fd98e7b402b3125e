package doctor

import (
	"time"

	"github.com/streamkeeper/streamkeeper/buffer"
	"github.com/streamkeeper/streamkeeper/internal/human"
)

// Shares of maxmemory past which there is little left.
const (
	tightMemory = 0.8
	fullMemory  = 0.95
)

// memory asks how much memory is left, now and at the present growth.
func memory() Check {
	return Check{
		ID: "memory", Group: Redis, Glance: true,
		needs:  []fact{factNodes},
		Rule:   "Redis's memory is well below maxmemory, and grows towards an end: at maxmemory producers' writes are refused.",
		Source: fromRedis,
		Remedy: "Raise maxmemory, or keep less: see retention-afforded for a policy. TRIM_PRESSURE (with TRIM_MIN_AGE) would tighten it by itself, if set.",
		Good:   "not known without a maxmemory",
		server: func(s *Server, o *outcome) {
			fullest := buffer.NodeState{}
			for _, n := range s.Nodes {
				if n.Share() >= fullest.Share() {
					fullest = n
				}
			}
			if fullest.Limit == 0 {
				return // maxmemory says so
			}
			severity := OK
			if fullest.Share() >= fullMemory {
				severity = Error
			} else if fullest.Share() >= tightMemory {
				severity = Warning
			}
			o.says(severity, "%s of %s used (%.0f %%)%s", human.Bytes(fullest.Used), human.Bytes(fullest.Limit), 100*fullest.Share(), of(fullest.Node))
		},
		buffer: func(b *Buffer, o *outcome) {
			used, limit := b.Server.memory()
			if limit == 0 || o.severity != OK {
				return
			}
			if b.SizesError != nil {
				o.unknown(b.SizesError)
				return
			}
			free := limit*tightMemory - used
			if b.Totals.Endless == 0 || b.Totals.EndlessBytes <= 0 || free <= 0 {
				return
			}
			left := free / b.Totals.EndlessBytes
			if left < endlessWarning.Seconds() {
				o.says(Warning, "%s of %s used, and %s without a limit: at the present rate maxmemory is near in %s", human.Bytes(int64(used)),
					human.Bytes(int64(limit)), human.Plural(b.Totals.Endless, "stream"), human.Duration(time.Duration(left*float64(time.Second))))
			}
		},
	}
}

// endlessWarning is how soon memory must end for that to be worth a word.
const endlessWarning = 7 * 24 * time.Hour

// memory is what all masters together use and may use; a limit of 0 is none, or
// not known.
func (s *Server) memory() (used, limit float64) {
	for _, n := range s.Nodes {
		if n.Limit == 0 {
			return 0, 0
		}
		used, limit = used+float64(n.Used), limit+float64(n.Limit)
	}
	return used, limit
}
