package inspect

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/streamkeeper/streamkeeper/burst"
	"github.com/streamkeeper/streamkeeper/internal/redistest"
)

// play follows streams, does one step in each pause, and ends after the last.
// It returns the ids that were seen, with their streams if there are several.
type play struct {
	Following
	options Options
	steps   []func()
	// first is done as the first messages are seen.
	first func()

	seen   []string
	pauses []time.Duration
	log    bytes.Buffer
	report Report
}

func (p *play) run(t *testing.T, b Store) error {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	p.Pause = func(_ context.Context, d time.Duration) {
		p.pauses = append(p.pauses, d)
		if len(p.steps) == 0 {
			cancel()
			return
		}
		p.steps[0]()
		p.steps = p.steps[1:]
	}
	p.options.Log = slog.New(slog.NewTextHandler(&p.log, nil))
	var err error
	calls := 0
	p.report, err = New(b, p.options).Follow(ctx, p.Following, func(messages []Message) error {
		if calls++; (len(messages) == 0) != (calls == 1) {
			t.Errorf("call %d has %d messages; only the first, as it begins, is to have none", calls, len(messages))
		}
		for _, m := range messages {
			seen := m.ID.String()
			if len(p.Streams) > 1 {
				seen = m.Stream + " " + seen
			}
			p.seen = append(p.seen, seen)
		}
		if p.first != nil && calls == 2 {
			p.first()
		}
		return nil
	})
	return err
}

func (p *play) sees(t *testing.T, b Store, want ...string) {
	t.Helper()
	if err := p.run(t, b); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(p.seen, want) {
		t.Errorf("it saw %q\nwant %q", p.seen, want)
	}
}

func nothing() {}

// servers are the Redis that tests run on.
func servers(t *testing.T, run func(t *testing.T, addr string, rdb *redis.Client)) {
	t.Helper()
	t.Run("miniredis", func(t *testing.T) {
		addr, rdb := fake(t)
		run(t, addr, rdb)
	})
	t.Run("redis", func(t *testing.T) {
		s := redistest.Start(t)
		run(t, s.Addr, s.Client)
	})
}

func TestFollowingShowsWhatComesAndNothingElse(t *testing.T) {
	t.Parallel()
	servers(t, func(t *testing.T, addr string, rdb *redis.Client) {
		message := []any{"id", 1, "data", payload(t, burst.Block, 100)}
		add(t, rdb, "car 7", "5-0", message...)
		p := play{Following: Following{Streams: []string{"car 7"}}, steps: []func(){
			nothing,
			func() {
				add(t, rdb, "car 7", "5-1", message...)
				add(t, rdb, "car 7", "7-0", "id", 1, "data", "rubbish")
			},
			func() { add(t, rdb, "other", "8-0", message...) },
			func() { add(t, rdb, "car 7", "9-0", message...) },
		}}
		p.sees(t, open(t, addr), "5-1", "7-0", "9-0")
		if p.report.Messages != 3 || p.report.OK != 2 || p.report.Invalid != 1 || p.report.Streams != 1 {
			t.Errorf("the report is %+v", p.report)
		}
		if p.log.Len() > 0 {
			t.Errorf("the log says\n%s", &p.log)
		}
	})
}

func TestFollowingBeginsWhereItIsAskedTo(t *testing.T) {
	t.Parallel()
	servers(t, func(t *testing.T, addr string, rdb *redis.Client) {
		now, err := rdb.Time(t.Context()).Result()
		if err != nil {
			t.Fatal(err)
		}
		var ids []string
		for _, ago := range []time.Duration{2 * time.Hour, time.Hour, time.Minute} {
			id := fmt.Sprintf("%d-3", now.Add(-ago).UnixMilli())
			ids = append(ids, id)
			add(t, rdb, "a", id, "id", 1)
		}
		ahead := now.Add(time.Hour).UTC().Format(time.RFC3339)
		for _, c := range []struct {
			since string
			from  int // of the ids above
		}{
			{"0", 0},
			{"3h", 0},
			{"90m", 1},
			{"0s", 3},
			{ids[1], 1},
			{strings.Replace(ids[1], "-3", "-4", 1), 2},
			{strings.TrimSuffix(ids[1], "-3"), 1},
			{now.Add(-90 * time.Minute).UTC().Format(time.RFC3339Nano), 1},
			{now.Add(-30 * time.Minute).Format(time.RFC3339), 2},
			{ahead, 3},
		} {
			t.Run(c.since, func(t *testing.T) {
				since, err := ParseSince(c.since)
				if err != nil {
					t.Fatal(err)
				}
				p := play{Following: Following{Streams: []string{"a"}, Since: since}}
				p.sees(t, open(t, addr), ids[c.from:]...)
			})
		}
	})
}

func TestATimeMeansNothingWhereIdsAreNone(t *testing.T) {
	t.Parallel()
	addr, rdb := fake(t)
	add(t, rdb, "counted", "5-0", "id", 1)
	since, _ := ParseSince("1h")
	p := play{Following: Following{Streams: []string{"counted"}, Since: since}, steps: []func(){
		func() { add(t, rdb, "counted", "6-0", "id", 1) },
	}}
	p.sees(t, open(t, addr), "6-0")
	if !strings.Contains(p.log.String(), "its ids are not times") || !strings.Contains(p.log.String(), "stream=counted") {
		t.Errorf("the log says\n%s", &p.log)
	}
}

func TestFollowingOneSessionLeavesOutTheOthers(t *testing.T) {
	t.Parallel()
	addr, rdb := fake(t)
	add(t, rdb, "a", "1-0", "id", "12")
	p := play{Following: Following{Streams: []string{"a"}, Session: "7"}, steps: []func(){func() {
		add(t, rdb, "a", "2-0", "id", "7", "data", "x")
		add(t, rdb, "a", "3-0", "id", "12", "data", "x")
		add(t, rdb, "a", "4-0", "data", "x")
		add(t, rdb, "a", "5-0", "data", "x", "id", "007")
		add(t, rdb, "a", "6-0", "id", "77")
		add(t, rdb, "a", "7-0", "id", "seven")
	}}}
	p.sees(t, open(t, addr), "2-0", "5-0")
	if p.report.Messages != 2 || p.report.Invalid != 2 {
		t.Errorf("the report is %+v", p.report)
	}
}

func TestManyAndLargeMessagesAreReadInPortions(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	var want []string
	streams := []string{"small", "large", "giant"}
	id := 0
	put := func(stream string, n, size int) {
		data := payload(t, burst.Block, size)
		for range n {
			id++
			add(t, s.Client, stream, millis(id), "id", 1, "data", data)
			want = append(want, stream+" "+millis(id))
		}
	}
	put("small", 350, 10)
	put("large", 5, pipelineBytes)
	put("giant", 1, 3<<20)
	put("giant", 2, 10)
	since, _ := ParseSince("0")
	p := play{Following: Following{Streams: streams, Since: since}, options: Options{MaxBurst: 2 << 20}}
	if err := p.run(t, open(t, s.Addr)); err != nil {
		t.Fatal(err)
	}
	// Each stream is in its order, and they take turns.
	slices.SortStableFunc(p.seen, func(a, b string) int {
		return slices.Index(streams, strings.Fields(a)[0]) - slices.Index(streams, strings.Fields(b)[0])
	})
	if !slices.Equal(p.seen, want) {
		t.Errorf("%d messages seen, want %d", len(p.seen), len(want))
	}
	if p.report.Invalid != 1 || p.report.OK != 357 {
		t.Errorf("the report is %+v", p.report)
	}
	if len(p.pauses) != 1 {
		t.Errorf("%d pauses, want none before the end", len(p.pauses))
	}
}

func TestThePauseFollowsWhatComes(t *testing.T) {
	t.Parallel()
	addr, rdb := fake(t)
	add(t, rdb, "a", "1-0", "id", 1)
	p := play{Following: Following{Streams: []string{"a"}}, steps: []func(){
		nothing, nothing, nothing, nothing, func() { add(t, rdb, "a", "2-0", "id", 1) }, nothing,
	}}
	p.sees(t, open(t, addr), "2-0")
	const want = "[200ms 400ms 800ms 1s 1s 100ms 200ms]"
	if got := fmt.Sprint(p.pauses); got != want {
		t.Errorf("the pauses are %s, want %s", got, want)
	}
}

func TestFollowingWaitsForAStreamThatIsNotThereYet(t *testing.T) {
	t.Parallel()
	servers(t, func(t *testing.T, addr string, rdb *redis.Client) {
		add(t, rdb, "a", "5-0", "id", 1)
		p := play{Following: Following{Streams: []string{"a", "late", "stream:later"}}, steps: []func(){
			nothing,
			func() { add(t, rdb, "late", "1-0", "id", 1) },
			func() { add(t, rdb, "later", "2-0", "id", 1); add(t, rdb, "a", "6-0", "id", 1) },
		}}
		p.sees(t, open(t, addr), "late 1-0", "a 6-0", "later 2-0")
		if log := p.log.String(); strings.Count(log, "waiting for stream") != 2 || strings.Contains(log, "WARN") {
			t.Errorf("the log says\n%s", log)
		}
	})
}

func TestWhatIsOlderThanAskedForIsNotShownOfAStreamThatComes(t *testing.T) {
	t.Parallel()
	addr, rdb := fake(t)
	since, err := ParseSince("5-0")
	if err != nil {
		t.Fatal(err)
	}
	p := play{Following: Following{Streams: []string{"late"}, Since: since}, steps: []func(){
		func() { add(t, rdb, "late", "4-0", "id", 1); add(t, rdb, "late", "5-0", "id", 1) },
	}}
	p.sees(t, open(t, addr), "5-0")
}

func TestFollowingEndsAfterAsManyMessagesAsWanted(t *testing.T) {
	t.Parallel()
	addr, rdb := fake(t)
	add(t, rdb, "a", "1-0", "id", 1)
	p := play{Following: Following{Streams: []string{"a"}, Count: 3}, steps: []func(){
		func() { add(t, rdb, "a", "2-0", "id", 1) },
		func() {
			for i := 3; i < 9; i++ {
				add(t, rdb, "a", fmt.Sprintf("%d-0", i), "id", 1)
			}
		},
		func() { t.Error("it goes on") },
	}}
	p.sees(t, open(t, addr), "2-0", "3-0", "4-0")
	if p.report.Messages != 3 {
		t.Errorf("%+v", p.report)
	}
}

func TestBytesThatWereNotFetchedAreNotCounted(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	add(t, s.Client, "a", "1-0", "id", 1)
	p := play{Following: Following{Streams: []string{"a"}}, options: Options{MaxBurst: 1000}, steps: []func(){
		func() {
			add(t, s.Client, "a", "2-0", "id", 1, "data", strings.Repeat("x", 1<<20))
			add(t, s.Client, "a", "3-0", "id", 1, "data", "xyz")
		},
	}}
	p.sees(t, open(t, s.Addr), "2-0", "3-0")
	if p.report.Bytes != 3 {
		t.Errorf("%d bytes, want 3", p.report.Bytes)
	}
}
