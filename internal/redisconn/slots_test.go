package redisconn

import (
	"testing"

	"github.com/streamkeeper/streamkeeper/internal/redistest"
)

func TestSlotsAreHashedAsRedisDoes(t *testing.T) {
	t.Parallel()
	c := redistest.StartCluster(t, 1, false)
	for _, key := range []string{"", "a", "stream:car 7", "{user}.x", "a{b}c", "a{}b", "a{b", "{{x}}", "a{b}{c}", "\xff\x00"} {
		want, err := c.Masters[0].Client.ClusterKeySlot(t.Context(), key).Result()
		if err != nil {
			t.Fatal(err)
		}
		if got := slotOf(key); int64(got) != want {
			t.Errorf("the slot of %q is %d, want %d", key, got, want)
		}
	}
	var conn Conn
	if n := len(conn.probeKeys("stream:")); n != slotCount {
		t.Errorf("%d slots are probed", n)
	}
	if n := len(conn.probeKeys("{rta}:stream:")); n != 1 {
		t.Errorf("%d slots are probed of a prefix with braces", n)
	}
}
