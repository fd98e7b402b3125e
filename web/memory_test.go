package web

import (
	"strings"
	"testing"
	"time"
)

func TestTheHeadlineSaysWhenMemoryIsFull(t *testing.T) {
	const gib = 1 << 30
	in := func(d time.Duration) *float64 { return new(d.Seconds()) }
	for _, c := range []struct {
		name      string
		memory    Memory
		follows   bool
		want      []string
		attention bool
	}{
		{"not read yet", Memory{}, false, []string{"not read yet"}, false},
		{"a follower", Memory{}, true, []string{"the leader reads it"}, false},
		{"a user without +info", Memory{Read: true}, false, []string{"Redis does not tell (+info)"}, false},
		{"no maxmemory", Memory{Read: true, Used: gib, GrowthSeconds: 3600, Growth: 1e6}, false,
			[]string{"1.0 GiB<", "Redis has no maxmemory: it takes memory until the machine has none"}, false},
		{"soon after start", Memory{Read: true, Used: 3 * gib, Max: 4 * gib}, false,
			[]string{"3.0 GiB, 75 %", "of maxmemory 4.0 GiB; growth not known yet"}, false},
		{"it does not grow", Memory{Read: true, Used: gib, Max: 4 * gib, GrowthSeconds: 3600, Growth: -5}, false,
			[]string{"1.0 GiB, 25 %", "not full within 7 days at the growth of the last hour"}, false},
		{"it grows slowly", Memory{Read: true, Used: 3 * gib, Max: 4 * gib, GrowthSeconds: 3600, Growth: 1, Full: in(8 * 24 * time.Hour)}, false,
			[]string{"not full within 7 days"}, false},
		{"it grows", Memory{Read: true, Used: 3 * gib, Max: 4 * gib, GrowthSeconds: 1500, Growth: 1, Full: in(26*time.Hour + 3*time.Minute)}, false,
			[]string{"full in about 26h 3m at the growth of the last 25m"}, false},
		{"it is full within four hours", Memory{Read: true, Used: 3 * gib, Max: 4 * gib, GrowthSeconds: 3600, Growth: 1, Full: in(200 * time.Minute)}, false,
			[]string{"full in about 3h 20m at the growth of the last hour", "Redis&#39;s memory is 75 % of maxmemory, and full in about 3h 20m"}, true},
		{"within a minute", Memory{Read: true, Used: 4 * gib, Max: 4 * gib, GrowthSeconds: 3600, Growth: 1, Full: in(0)}, false,
			[]string{"4.0 GiB, 100 %", "full within a minute"}, true},
		{"it is full, and grows no more", Memory{Read: true, Used: 4 * gib, Max: 4 * gib, GrowthSeconds: 3600}, false,
			[]string{"Redis&#39;s memory is 100 % of maxmemory, at which it refuses what producers write", "#streamkeeperredismemoryhigh"}, true},
		{"it is nearly full soon after start", Memory{Read: true, Used: 38 * gib, Max: 40 * gib}, false,
			[]string{"Redis&#39;s memory is 95 % of maxmemory"}, true},
		{"half of it is free", Memory{Read: true, Used: gib, Max: 4 * gib, GrowthSeconds: 3600, Growth: 1, Full: in(200 * time.Minute)}, false,
			[]string{"full in about 3h 20m"}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := quiet()
			s.Redis.Memory, s.Leader.Leading = c.memory, !c.follows
			page := pageOf(t, s, "")
			wantIn(t, page, append(c.want, "<dt>Memory</dt>")...)
			if got := strings.Contains(page, "Healthy, but look"); got != c.attention {
				t.Errorf("attention %v, want %v", got, c.attention)
			}
		})
	}
}
