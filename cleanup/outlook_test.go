package cleanup_test

import (
	"testing"
	"time"

	"github.com/streamkeeper/streamkeeper/buffer/registry"
	"github.com/streamkeeper/streamkeeper/burst"
	"github.com/streamkeeper/streamkeeper/cleanup"
)

func TestTheOutlookOfASessionCountsFromItsNewestMessage(t *testing.T) {
	t.Parallel()
	w := newFixture(t)
	put := func(identity, stream string, id int, age time.Duration) {
		w.described(registry.Keys, identity, stream, id, age, stated(`"open"`))
	}
	put("silent", "a", 1, time.Hour)
	put("sends", "a", 2, 23*time.Hour)
	put("flowing", "a", 3, 50*time.Hour)
	put("no longer", "a", 4, time.Hour)
	put("older twin", "a", 5, 3*time.Hour)
	put("newer twin", "a", 5, 2*time.Hour)
	put("back", "b", 6, 23*time.Hour)
	put("back long ago", "b", 6, 50*time.Hour)
	put("odd id", "a", 8, time.Hour)
	w.noError(w.Client.HSet(t.Context(), "sessions:odd id", "streamSessionId", "x").Err())
	put("odd stream", "odd", 7, 50*time.Hour)
	w.sent("a", 4, 5*time.Hour)
	w.sent("a", 5, time.Minute)
	w.sent("a", 2, time.Minute)
	w.sent("a", 3, time.Minute)
	w.noError(w.Client.Do(t.Context(), "XADD", "stream:odd", "5-1", "id", 7, "data", "x").Err())
	for identity, ago := range map[string]time.Duration{"back": time.Hour, "back long ago": time.Hour} {
		w.noError(w.Client.Set(t.Context(), "streamkeeper:undone:{sessions:"+identity+"}", w.now.Add(-ago).UnixMilli(), 0).Err())
	}
	type want struct{ expires, abandoned time.Duration }
	limits := func(o *cleanup.Options) { o.Limits.AbandonAfter = 2 * time.Hour }
	for what, c := range map[string]struct {
		change func(*cleanup.Options)
		want   map[string]want // hours are from now on; 0 is never
	}{
		"by messages": {limits, map[string]want{
			"silent": {23 * time.Hour, time.Hour}, "sends": {24*time.Hour - time.Minute, 2*time.Hour - time.Minute}, "flowing": {24*time.Hour - time.Minute, 2*time.Hour - time.Minute},
			"no longer": {23 * time.Hour, time.Hour}, "older twin": {21 * time.Hour, -time.Hour}, "newer twin": {24*time.Hour - time.Minute, 2*time.Hour - time.Minute},
			"back": {23 * time.Hour, -21 * time.Hour}, "back long ago": {23 * time.Hour, 0}, "odd id": {23 * time.Hour, 0}, "odd stream": {},
		}},
		"by their time alone": {func(o *cleanup.Options) { limits(o); o.TimeAlone = true }, map[string]want{
			"sends": {time.Hour, -21 * time.Hour}, "newer twin": {22 * time.Hour, 0 - time.Nanosecond}, "odd stream": {-26 * time.Hour, -48 * time.Hour},
		}},
		"without a limit for abandoning": {nil, map[string]want{"silent": {23 * time.Hour, 0}, "sends": {24*time.Hour - time.Minute, 0}}},
	} {
		t.Run(what, func(t *testing.T) {
			b := w.open(w.URL(), nil)
			var sessions []registry.Session
			w.noError(b.WalkSessions(t.Context(), func(page []registry.Session) error {
				sessions = append(sessions, page...)
				return nil
			}))
			states := make([]string, len(sessions))
			for i := range states {
				states[i] = burst.StateOpen
			}
			all, err := cleanup.New(b, w.options(c.change)).Outlook(t.Context(), sessions, states)
			w.noError(err)
			for i, s := range sessions {
				expected, asked := c.want[s.Identity]
				if !asked {
					continue
				}
				for _, at := range []struct {
					what string
					got  time.Time
					want time.Duration
				}{{"expires", all[i].Expires, expected.expires}, {"is abandoned", all[i].Abandoned, expected.abandoned}} {
					if got := at.got.Sub(w.now); at.got.IsZero() != (at.want == 0) || at.want != 0 && (got < at.want-time.Second || got > at.want+time.Second) {
						t.Errorf("%s %s in %s, want %s", s.Identity, at.what, got, at.want)
					}
				}
				if all[i].Another != (s.Identity == "older twin" && what == "by messages") && what == "by messages" {
					t.Errorf("%s: %+v", s.Identity, all[i])
				}
			}
		})
	}
}
