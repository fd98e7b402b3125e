package buffer

import (
	"fmt"
	"testing"
	"time"

	"github.com/streamkeeper/streamkeeper/internal/redistest"
)

func TestARunThatIsUnderWayIsAGapOfTheHistory(t *testing.T) {
	t.Parallel()
	redistest.EachVersion(t, func(t *testing.T, start redistest.StartFunc) {
		ctx, server := t.Context(), start(t)
		b := openOn(t, server.URL())
		history := func() (all []string) {
			t.Helper()
			if err := b.WalkHistory(ctx, time.Time{}, func(r Removal) { all = append(all, r.Action+" "+r.Name+r.Run) }); err != nil {
				t.Fatal(err)
			}
			return all
		}
		check := func(want ...string) {
			t.Helper()
			if got := history(); fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("the history is %q, not %q", got, want)
			}
		}
		must := func(err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
		}
		check()
		must(b.NoteUnderway(ctx, "one", "me/1"))
		check("gap one")
		must(server.Client.HSet(ctx, "streamkeeper:trims:underway", "one", "5 me/1", "odd", "x").Err())
		must(b.Record(ctx, []Removal{{Action: "expire", Name: "s"}}, 10))
		must(b.NoteUnderway(ctx, "two", "me/2"))
		check("gap two", "expire s", "gap one")
		gaps, err := b.Underway(ctx)
		if err != nil || len(gaps) != 2 || gaps[1].Instance != "me/1" || gaps[1].Time.UnixMilli() != 5 || gaps[1].Until().UnixMilli() != 60_005 || gaps[1].Missing() != 0 {
			t.Errorf("%+v, %v", gaps, err)
		}
		must(b.ForgetUnderway(ctx, "two"))
		check("expire s", "gap one")
		// The oldest note makes room.
		notes := make(map[string]any)
		for i := range maxUnderway - 2 {
			notes[fmt.Sprint("n", i)] = "99999999999999 x"
		}
		must(server.Client.HSet(ctx, "streamkeeper:trims:underway", notes).Err())
		must(server.Client.HDel(ctx, "streamkeeper:trims:underway", "odd").Err())
		must(b.NoteUnderway(ctx, "three", "me/3"))
		must(b.NoteUnderway(ctx, "four", "me/4"))
		if got := history(); len(got) != maxUnderway+1 || got[len(got)-1] != "expire s" {
			t.Errorf("%d, the last are %q", len(got), got[len(got)-3:])
		}
	})
}
