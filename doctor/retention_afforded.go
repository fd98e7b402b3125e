package doctor

import (
	"fmt"
	"time"

	"github.com/streamkeeper/streamkeeper/internal/human"
	"github.com/streamkeeper/streamkeeper/trim"
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
				afforded := policyAge(room / t.BytesPerSecond)
				policy := "TRIM_POLICIES='*: max_age=" + ageText(afforded) + "'"
				if least := b.Policies.Default.MinAge; afforded < max(least, trim.MinMaxAge) {
					// Such a policy would be refused, or, without a second, be no limit at all.
					policy, o.remedy = "less than "+human.Duration(trim.MinMaxAge), "Raise maxmemory, or send less."
					if afforded >= trim.MinMaxAge {
						policy = human.Duration(afforded) + ", less than TRIM_MIN_AGE (" + human.Duration(least) + ")"
					}
				}
				o.says(severity, text+"%s; the sum: (%s × %s − %s beside the streams) ÷ %s/s",
					policy, about(tightMemory), human.Bytes(int64(limit)), human.Bytes(int64(used-t.Bytes)), human.Bytes(int64(t.BytesPerSecond)))
			}
		},
	}
}

// Units of policies.
const (
	day  = 24 * time.Hour
	year = 365 * day
)

// policyAge is a number of seconds as an age that reads well, rounded down.
func policyAge(seconds float64) time.Duration {
	age := time.Duration(min(seconds, year.Seconds()) * float64(time.Second))
	for _, unit := range []time.Duration{day, time.Hour, time.Minute} {
		if age >= 2*unit {
			return age.Truncate(unit)
		}
	}
	return age.Truncate(time.Second)
}

// ageText is an age of [policyAge] as policies are written.
func ageText(age time.Duration) string {
	switch {
	case age >= 2*day:
		return fmt.Sprintf("%dd", age/day)
	case age >= 2*time.Hour:
		return fmt.Sprintf("%dh", age/time.Hour)
	case age >= 2*time.Minute:
		return fmt.Sprintf("%dm", age/time.Minute)
	}
	return fmt.Sprintf("%ds", age/time.Second)
}
