package doctor

import (
	"fmt"

	"github.com/streamkeeper/streamkeeper/internal/human"
)

// retentionAfforded asks how much the memory could keep.
func retentionAfforded() Check {
	return Check{
		ID: "retention-afforded", Group: Retention,
		needs:  []fact{factTime, factNodes, factStreams, factSizes},
		Rule:   "Retention fits into maxmemory at the present rate.",
		Source: fromOurs,
		Remedy: "Copy the policy into TRIM_POLICIES, or a shorter one. It leaves a fifth of maxmemory for what else Redis holds.",
		buffer: func(b *Buffer, o *outcome) {
			used, limit := b.Server.memory()
			t := b.Totals
			room := limit*tightMemory - (used - t.Bytes)
			switch {
			case limit == 0:
				o.says(OK, "not known: maxmemory is not set")
			case t.Bytes == 0 && t.Entries > 0:
				o.says(OK, "not known: Redis does not say what streams take (MEMORY USAGE)")
			case t.BytesPerSecond <= 0:
				o.says(OK, "not known: nothing flows")
			case room <= 0:
				o.says(OK, "none: what is not in streams takes %s of %s", human.Bytes(int64(used-t.Bytes)), human.Bytes(int64(limit)))
			default:
				severity, text := OK, ""
				if t.AtLimits > room {
					severity, text = Warning, fmt.Sprintf("with every stream at its limit Redis would use %s of %s; affordable is ",
						human.Bytes(int64(used-t.Bytes+t.AtLimits)), human.Bytes(int64(limit)))
				}
				o.says(severity, text+"TRIM_POLICIES='*: max_age=%s'; the sum: (%s × %s − %s beside the streams) ÷ %s/s",
					policyAge(room/t.BytesPerSecond), about(tightMemory), human.Bytes(int64(limit)), human.Bytes(int64(used-t.Bytes)), human.Bytes(int64(t.BytesPerSecond)))
			}
		},
	}
}

// policyAge is a number of seconds as policies are written, rounded down.
func policyAge(seconds float64) string {
	const year = 365 * 24 * 3600
	switch seconds = min(seconds, year); {
	case seconds >= 2*24*3600:
		return fmt.Sprintf("%dd", int64(seconds)/(24*3600))
	case seconds >= 2*3600:
		return fmt.Sprintf("%dh", int64(seconds)/3600)
	case seconds >= 120:
		return fmt.Sprintf("%dm", int64(seconds)/60)
	}
	return fmt.Sprintf("%ds", int64(seconds))
}
