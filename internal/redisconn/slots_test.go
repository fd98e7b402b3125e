package redisconn

import (
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

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
	for prefix, want := range map[string]int{"stream:": slotCount, "a}b:": slotCount, "a{b:": slotCount, "{}:": slotCount, "{rta}:stream:": 1} {
		slots := make(map[int]bool)
		for _, key := range probeKeys(prefix) {
			if !strings.HasPrefix(key, prefix) {
				t.Fatalf("%q is to begin with %q", key, prefix)
			}
			slots[slotOf(key)] = true
		}
		if len(slots) != want || len(probeKeys(prefix)) != want {
			t.Errorf("%d slots are probed of the prefix %q, by %d keys", len(slots), prefix, len(probeKeys(prefix)))
		}
	}
}

// A slot moves from master to master, and a key of it once in each move. A round misses
// the key only if it moves meanwhile.
func TestAKeyOfAMovingSlotIsMissedInNoScanThatIsComplete(t *testing.T) {
	t.Parallel()
	const slot = 7
	complete := 0
	for seed := range uint64(2000) {
		random := rand.New(rand.NewPCG(seed, 1))
		master, moving, keyMoved := 0, false, false
		step := func() (moved bool) {
			switch {
			case !moving:
				moving, keyMoved = true, false
			case !keyMoved:
				keyMoved, moved = true, true
			default:
				master, moving = master+1, false
			}
			return moved
		}
		look := func() slotMap {
			place := slotPlace{strconv.Itoa(master), strconv.Itoa(master)}
			if moving {
				place.to = strconv.Itoa(master + 1)
			}
			return slotMap{slot: place}
		}
		for range random.IntN(3) {
			step()
		}
		s, found := newSettling(look()), false
		for rounds := 1; rounds <= maxRounds; rounds++ {
			missed := false
			for range random.IntN(8) {
				missed = step() || missed
			}
			found = found || !missed
			if len(s.left(look(), rounds)) > 0 {
				continue
			}
			if complete++; !found {
				t.Fatalf("seed %d: the scan is complete, and the key was in no round of it", seed)
			}
			break
		}
	}
	if complete < 400 {
		t.Errorf("%d of 2000 scans were complete", complete)
	}
}

// A slot that has moved, and moves on, is asked for where it is now.
func TestAMovedSlotIsAskedForAtItsNewMaster(t *testing.T) {
	t.Parallel()
	c := redistest.StartCluster(t, 3, false)
	ctx := t.Context()
	conn, err := Open(ctx, Options{Connection: Connection{URL: c.URL()}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	cluster, _ := conn.rdb.(*redis.ClusterClient)
	const key = "{moving}:a"
	slot := slotOf(key)
	if err := c.Client.Set(ctx, key, "x", 0).Err(); err != nil {
		t.Fatal(err)
	}
	look := func() slotPlace {
		t.Helper()
		slots, err := conn.slots(ctx, cluster, "{moving}:", nil)
		if err != nil || len(slots) != 1 {
			t.Fatalf("%v, %v", slots, err)
		}
		return slots[slot]
	}
	from, err := c.Owner(ctx, slot, 0)
	if err != nil {
		t.Fatal(err)
	}
	next, last := (from+1)%3, (from+2)%3
	first := look()
	if err := c.Migrate(ctx, slot, next, 0); err != nil {
		t.Fatal(err)
	}
	if err := c.Shift(ctx, slot, next, last); err != nil {
		t.Fatal(err)
	}
	want := slotPlace{c.Masters[next].Addr, c.Masters[last].Addr}
	if got := look(); got != want || first.movesTo(got) != 2 {
		t.Errorf("before %v, now %v, want %v", first, got, want)
	}
}

// A slot that changes hands whenever it is asked for is not settled.
func TestASlotWhosePlaceIsNotKnownIsNotSettled(t *testing.T) {
	t.Parallel()
	unknown := slotMap{7: {}}
	s := newSettling(unknown)
	for rounds := 1; rounds <= maxRounds; rounds++ {
		if !s.left(unknown, rounds)[7] {
			t.Fatalf("after %d rounds the scan is complete", rounds)
		}
	}
}
