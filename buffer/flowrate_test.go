package buffer

import (
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/streamkeeper/streamkeeper/internal/redistest"
)

// every are ids at an interval, the newest first, down from a time.
func every(newest time.Time, interval time.Duration, n int) (ids []ID) {
	for i := range n {
		ids = append(ids, ID{Ms: uint64(newest.Add(-time.Duration(i) * interval).UnixMilli())})
	}
	return ids
}

func TestTheRateIsJudgedWhileAStreamFlows(t *testing.T) {
	t.Parallel()
	now := time.Now()
	pairs := every(now, 5*time.Second, 10)
	for i := range 10 {
		pairs = append(pairs[:2*i+1], append([]ID{{Ms: pairs[2*i].Ms, Seq: 1}}, pairs[2*i+1:]...)...)
	}
	for name, c := range map[string]struct {
		ids  []ID
		want float64
	}{
		"none":              {nil, 0},
		"one":               {every(now, time.Second, 1), 0},
		"steady":            {every(now, 100*time.Millisecond, 40), 10},
		"slow":              {every(now, time.Minute, 40), 1. / 60},
		"after a pit stop":  {append(every(now, 100*time.Millisecond, 5), every(now.Add(-10*time.Minute), 100*time.Millisecond, 30)...), 10},
		"two at a time":     {pairs, 2. / 5},
		"all at once":       {every(now, 0, 20), 0},
		"ids that are none": {[]ID{{Ms: 9}, {Ms: 8}, {Ms: 7}}, 0},
	} {
		if got, _ := flowRate(c.ids); math.Abs(got-c.want) > c.want/20 {
			t.Errorf("%s: %g a second, want %g", name, got, c.want)
		}
	}
}

func TestTheRateCostsAFewOfTheNewestEntries(t *testing.T) {
	redistest.EachVersion(t, func(t *testing.T, start redistest.StartFunc) {
		server, ctx := start(t), t.Context()
		pipe := server.Client.Pipeline()
		end := time.Now()
		for i := range 2000 {
			at := end.Add(time.Duration(i-1999) * 100 * time.Millisecond)
			if i < 1990 {
				at = at.Add(-time.Hour)
			}
			pipe.XAdd(ctx, &redis.XAddArgs{Stream: "stream:car", ID: fmt.Sprintf("%d-1", at.UnixMilli()), Values: []any{"data", make([]byte, 32<<10)}})
		}
		pipe.Set(ctx, "stream:text", "x", 0)
		if _, err := pipe.Exec(ctx); err != nil {
			t.Fatal(err)
		}
		b := open(t, server.URL(), nil)
		if err := server.ResetCalls(ctx); err != nil {
			t.Fatal(err)
		}
		if got, err := b.FlowRate(ctx, "car"); err != nil || math.Abs(got-10) > 0.5 {
			t.Errorf("%g a second, %v", got, err)
		}
		if calls, err := server.CommandCalls(ctx); err != nil || calls["xrevrange"] > rateEntries+16 {
			t.Errorf("the calls are %v, %v", calls, err)
		}
		if got, err := b.FlowRate(ctx, "none"); got != 0 || err != nil {
			t.Errorf("of no stream: %g, %v", got, err)
		}
		if got, err := b.FlowRate(ctx, "text"); got != 0 || err != nil {
			t.Errorf("of a text: %g, %v", got, err)
		}
	})
}
