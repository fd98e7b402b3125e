package buffer

import (
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/streamkeeper/streamkeeper/internal/redistest"
)

// groupLimit is how long a consumer may be idle in these tests: Redis alone
// says how long it was, so they have to wait for it.
const groupLimit = 200 * time.Millisecond

// groupFixture is the stream "car" with a group "g" that begins at its start.
type groupFixture struct {
	*testing.T
	*Buffer
	rdb *redis.Client
	// idleOnPoll: idle says when a consumer last asked, whatever it got.
	idleOnPoll bool
	// limit is how long the group may be idle.
	limit time.Duration
}

// newGroupFixture makes entries 1 to n of the stream, a millisecond apart, the
// first one so long ago.
func newGroupFixture(t *testing.T, start redistest.StartFunc, n int, ago time.Duration) *groupFixture {
	s := start(t)
	b := open(t, s.URL(), nil)
	f := &groupFixture{t, b, s.Client, b.Server().AtLeast(7, 2), groupLimit}
	first := time.Now().Add(-ago).UnixMilli()
	f.rdb.SAdd(t.Context(), "streams", "car")
	pipe := f.rdb.Pipeline()
	for i := range n {
		pipe.XAdd(t.Context(), &redis.XAddArgs{Stream: "stream:car", ID: fmt.Sprintf("%d-0", first+int64(i)), Values: []string{"id", strconv.Itoa(i + 1)}})
	}
	pipe.XGroupCreate(t.Context(), "stream:car", "g", "0")
	f.done(pipe)
	return f
}

func (f *groupFixture) done(pipe redis.Pipeliner) {
	f.Helper()
	if _, err := pipe.Exec(f.Context()); err != nil {
		f.Fatal(err)
	}
}

// read has the consumer "c" ask for entries; none is acknowledged.
func (f *groupFixture) read(n int64) {
	f.rdb.XReadGroup(f.Context(), &redis.XReadGroupArgs{Group: "g", Consumer: "c", Streams: []string{"stream:car", ">"}, Count: n, Block: -1})
}

func (f *groupFixture) remove(ids ...string) {
	pipe := f.rdb.Pipeline()
	for _, id := range ids {
		pipe.XDel(f.Context(), "stream:car", id)
	}
	f.done(pipe)
}

func (f *groupFixture) ids() []string {
	messages := f.rdb.XRange(f.Context(), "stream:car", "-", "+").Val()
	ids := make([]string, len(messages))
	for i, m := range messages {
		ids[i] = m.ID
	}
	return ids
}

// protects compares the first id that the group protects; none if it is empty.
func (f *groupFixture) protects(want string) {
	f.Helper()
	floors, err := f.GroupFloors(f.Context(), []string{"car"}, GroupLimits{IdleAfter: f.limit})
	if err != nil || floors[0].Err != nil {
		f.Fatal(err, floors)
	}
	got := ""
	for _, text := range f.ids() {
		if id, _ := ParseID(text); floors[0].Group != "" && !id.Less(floors[0].Needed) {
			got = text
			break
		}
	}
	if got != want {
		f.Errorf("the group protects entries from %q on, want %q", got, want)
	}
}

func TestAConsumerThatPollsAQuietStreamIsActive(t *testing.T) {
	redistest.EachVersion(t, func(t *testing.T, start redistest.StartFunc) {
		t.Parallel()
		f := newGroupFixture(t, start, 20, time.Hour)
		first := f.ids()[0]
		f.read(20)
		time.Sleep(groupLimit + 10*time.Millisecond)
		f.read(1)
		f.protects(first)
		if f.idleOnPoll {
			time.Sleep(groupLimit + 10*time.Millisecond)
			f.protects("")
			return
		}
		// Nobody can tell that it still asks, so there is an end to it.
		time.Sleep(graceFactor*groupLimit + 10*time.Millisecond)
		f.protects("")
	})
}

func TestAGroupThatDoesNotReadWhatWaitsProtectsNothing(t *testing.T) {
	redistest.EachVersion(t, func(t *testing.T, start redistest.StartFunc) {
		t.Parallel()
		f := newGroupFixture(t, start, 20, time.Hour)
		f.read(10)
		f.protects(f.ids()[0])
		time.Sleep(groupLimit + 10*time.Millisecond)
		f.protects("")
	})
}

func TestAnEntryThatJustCameDoesNotMakeAGroupIdle(t *testing.T) {
	redistest.EachVersion(t, func(t *testing.T, start redistest.StartFunc) {
		t.Parallel()
		f := newGroupFixture(t, start, 20, time.Hour)
		first := f.ids()[0]
		f.read(20)
		time.Sleep(groupLimit + 10*time.Millisecond)
		f.read(1)
		// The id's time is ahead, as a slow machine must not make it old.
		f.rdb.XAdd(t.Context(), &redis.XAddArgs{Stream: "stream:car", ID: fmt.Sprintf("%d-0", time.Now().Add(time.Minute).UnixMilli()), Values: []string{"id", "21"}})
		f.protects(first)
	})
}

func TestAPendingIDOfAnEntryThatIsGoneProtectsNothing(t *testing.T) {
	redistest.EachVersion(t, func(t *testing.T, start redistest.StartFunc) {
		t.Parallel()
		for _, c := range []struct {
			name string
			read int64
			gone func(f *groupFixture, ids []string)
			want int // index of the first protected entry; -1 for none
		}{
			{"removed by another trimmer", 10, func(f *groupFixture, _ []string) { f.rdb.XTrimMaxLen(t.Context(), "stream:car", 2900) }, 100},
			{"deleted, the oldest entry stays", 10, func(f *groupFixture, ids []string) { f.remove(ids[1:10]...) }, 0},
			{"deleted, the oldest entry is acknowledged", 10, func(f *groupFixture, ids []string) {
				f.rdb.XAck(t.Context(), "stream:car", "g", ids[0])
				f.remove(ids[1:9]...)
			}, 9},
			{"all that is pending", 3000, func(f *groupFixture, ids []string) {
				f.rdb.XAck(t.Context(), "stream:car", "g", ids[0], ids[2999])
				f.remove(ids[1:900]...)
				f.rdb.XAck(t.Context(), "stream:car", "g", ids[900:2999]...)
			}, -1},
			{"more of it than are looked at", 3000, func(f *groupFixture, ids []string) {
				f.rdb.XAck(t.Context(), "stream:car", "g", ids[0], ids[2999])
				f.remove(ids[1:2999]...)
			}, 2999},
		} {
			t.Run(c.name, func(t *testing.T) {
				f := newGroupFixture(t, start, 3000, time.Hour)
				f.limit = time.Hour
				ids := f.ids()
				f.read(c.read)
				c.gone(f, ids)
				want := ""
				if c.want >= 0 {
					want = ids[c.want]
				}
				f.protects(want)
			})
		}
	})
}

func TestAGroupThatPollsAndHasEntriesPendingKeepsItsStreamFromRetiring(t *testing.T) {
	redistest.EachVersion(t, func(t *testing.T, start redistest.StartFunc) {
		t.Parallel()
		for _, c := range []struct {
			name   string
			change func(f *groupFixture, ids []string)
			want   Retirement
		}{
			{"polls, entries pending", func(f *groupFixture, _ []string) { f.read(1) }, Kept},
			{"idle, all acknowledged", func(f *groupFixture, ids []string) { f.rdb.XAck(t.Context(), "stream:car", "g", ids...) }, Retired},
			{"idle for long, entries pending", func(*groupFixture, []string) { time.Sleep(graceFactor*groupLimit + 10*time.Millisecond) }, Retired},
		} {
			t.Run(c.name, func(t *testing.T) {
				f := newGroupFixture(t, start, 20, 48*time.Hour)
				ids := f.ids()
				f.read(20)
				time.Sleep(groupLimit + 10*time.Millisecond)
				c.change(f, ids)
				infos, err := f.Infos(t.Context(), []string{"car"})
				if err != nil || infos[0].Err != nil {
					t.Fatal(err, infos)
				}
				if active := infos[0].ActiveWithin(groupLimit); active != (c.want == Kept) {
					t.Errorf("active: %t (%+v)", active, infos[0])
				}
				end, err := f.Retire(t.Context(), "car", infos[0].LastID, GroupLimits{IdleAfter: groupLimit})
				if err != nil || end != c.want {
					t.Errorf("it ends %v, %v; want %v", end, err, c.want)
				}
			})
		}
	})
}
