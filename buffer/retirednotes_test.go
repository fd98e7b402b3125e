package buffer

import (
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/streamkeeper/streamkeeper/internal/redistest"
)

func TestANoteOfARetirementTellsWhatItWas(t *testing.T) {
	t.Parallel()
	eachServer(t, func(t *testing.T, url string, rdb *redis.Client) {
		b, ctx := open(t, url, nil), t.Context()
		is := func(dropped, restored bool) {
			t.Helper()
			notes, err := b.RetiredNotes(ctx, []string{"x", "unknown"})
			if err != nil || len(notes) != 2 || notes[1] != (RetiredNote{}) {
				t.Fatalf("%+v, %v", notes, err)
			}
			if ago := time.Since(notes[0].At); ago < -time.Minute || ago > time.Minute || notes[0].Dropped != dropped || notes[0].Restored != restored {
				t.Errorf("%+v, want dropped %t, restored %t", notes[0], dropped, restored)
			}
		}
		restore := func() {
			t.Helper()
			if err := b.Restore(ctx, "x"); err != nil {
				t.Fatal(err)
			}
		}
		retire := func() {
			t.Helper()
			makeDead(t, rdb, "x")
			if end, err := b.Retire(ctx, "x", deadID, GroupLimits{IdleAfter: retireAfter}); err != nil || end != Retired {
				t.Fatalf("ends %v, %v", end, err)
			}
		}
		retire()
		is(false, false)
		restore()
		is(false, true)
		retire()
		is(false, false)
		rdb.SAdd(ctx, "streams", "x")
		if end, err := b.DropName(ctx, "x"); err != nil || end != Retired {
			t.Fatalf("ends %v, %v", end, err)
		}
		is(true, false)
		restore()
		is(true, true)
		restore()
		is(true, true)
		notes, err := b.RetiredNotes(ctx, []string{"x"})
		if err == nil {
			err = b.Forget(ctx, Return{"x", notes[0].At})
		}
		if got := stateOf(t, rdb, "x"); err != nil || got.remembered {
			t.Errorf("not forgotten: %+v, %v", got, err)
		}
	})
}

func TestNotesOfRetirementsThatAreNoSortedSetTellNothing(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	b := open(t, s.URL(), nil)
	s.Client.Set(t.Context(), "streamkeeper:retired", "text", 0)
	if notes, err := b.RetiredNotes(t.Context(), []string{"x"}); err != nil || notes[0] != (RetiredNote{}) {
		t.Errorf("%+v, %v", notes, err)
	}
}
