package inspect

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/streamkeeper/streamkeeper/buffer"
	"github.com/streamkeeper/streamkeeper/burst"
)

func TestTheNewestTheOldestAndOneBetweenAreJudgedInOrder(t *testing.T) {
	t.Parallel()
	addr, rdb := fake(t)
	for i := range 100 {
		add(t, rdb, "a", millis(100*i), "id", i, "data", payload(t, burst.Wrap, 100))
	}
	i := New(open(t, addr), Options{Samples: 3, Summaries: true})
	i.random = middle
	messages, report := inspectAll(t, i)
	var sessions []string
	for _, m := range messages {
		sessions = append(sessions, m.SessionID)
	}
	if !slices.Equal(sessions, []string{"0", "50", "99"}) {
		t.Errorf("messages %v", sessions)
	}
	s := report.Summaries[0]
	if s.Stream != "a" || s.Length != 100 || s.Messages != 3 || s.OK != 3 || s.Rate != 10 ||
		!slices.Equal(s.Encodings, []burst.Encoding{burst.Wrap}) || s.Kinds["row_data"] != 3 || s.Size == 0 || s.Ratio == 0 {
		t.Errorf("summary %+v", s)
	}
	if report.Messages != 3 || report.OK != 3 || report.Streams != 1 || report.Bytes != 3*messages[0].CompressedBytes {
		t.Errorf("report %+v", report)
	}
}

func TestTheRateIsThatWhileAStreamFlows(t *testing.T) {
	t.Parallel()
	addr, rdb := fake(t)
	for n := range 80 {
		at := 100 * n
		if n >= 40 {
			at += 20 * 60 * 1000 // a pit stop
		}
		add(t, rdb, "a", millis(at), "id", 1, "data", payload(t, burst.Block, 100))
	}
	_, report := inspectAll(t, New(open(t, addr), Options{Samples: 3, Summaries: true}))
	if s := report.Summaries[0]; s.Rate < 9.9 || s.Rate > 10.1 {
		t.Errorf("%g a second", s.Rate)
	}
}

func TestOtherTypesArePassedOverAndTheRestGoesOn(t *testing.T) {
	t.Parallel()
	addr, rdb := fake(t)
	ctx := t.Context()
	rdb.SAdd(ctx, "streams", "hash", "absent", "not ours")
	rdb.HSet(ctx, "stream:hash", "a", "b")
	add(t, rdb, "good", millis(0), "id", 1, "data", payload(t, burst.Block, 100))
	add(t, rdb, "not ours", millis(0), "id", 1, "data", "x")
	var kinds []string
	var told []Message
	exclude, err := buffer.ParsePatterns("not*")
	if err != nil {
		t.Fatal(err)
	}
	store := open(t, addr, func(o *buffer.Options) { o.Exclude = exclude })
	for _, budget := range []int64{1, DefaultMaxBytes} { // both ways through the streams
		kinds, told = nil, nil
		_, report := inspectAll(t, New(store, Options{
			MaxBytes:    budget,
			OnMalformed: func(kind string) { kinds = append(kinds, kind) },
			OnMessage:   func(m Message) { told = append(told, m) },
		}))
		if !slices.Equal(kinds, []string{"stream_type"}) || report.Errors != 0 || report.Streams != 2 {
			t.Errorf("kinds %v, report %+v", kinds, report)
		}
		if budget > 1 && (len(told) != 1 || told[0].Stream != "good" || told[0].Verdict != burst.OK) {
			t.Errorf("told %+v", told)
		}
		if report.Messages != int64(len(told)) {
			t.Errorf("told %d times, report %+v", len(told), report)
		}
	}
}

func TestStreamsThatWereNamedAreInspectedAndTheOthersNamedInTheError(t *testing.T) {
	t.Parallel()
	addr, rdb := fake(t)
	add(t, rdb, "a", millis(0), "id", 1, "data", payload(t, burst.Block, 100))
	add(t, rdb, "b", millis(0), "id", 1, "data", payload(t, burst.Block, 100))
	rdb.Set(t.Context(), "stream:text", "x", 0)
	exclude, err := buffer.ParsePatterns("b")
	if err != nil {
		t.Fatal(err)
	}
	i := New(open(t, addr, func(o *buffer.Options) { o.Exclude = exclude }), Options{})
	var messages []Message
	report, err := i.Inspect(t.Context(), []string{"a", "no\x00ne", "b", "text", "a"}, func(m Message) { messages = append(messages, m) })
	if len(messages) != 1 || messages[0].Stream != "a" || report.Messages != 1 {
		t.Errorf("messages %+v", messages)
	}
	for text, cause := range map[string]error{`"no\x00ne"`: ErrNoStream, `"b"`: ErrNotOurs, `"text"`: ErrNotStream} {
		if !errors.Is(err, cause) || !strings.Contains(fmt.Sprint(err), text) {
			t.Errorf("error %v does not say of %s: %v", err, text, cause)
		}
	}
}

func TestTheMostRecentlyActiveStreamsComeFirstWhenTheBudgetEnds(t *testing.T) {
	t.Parallel()
	addr, rdb := fake(t)
	data := payload(t, burst.SizePrefixedBlock, 1000)
	const streams = 200
	for i := range streams {
		// The larger the number, the longer ago.
		add(t, rdb, fmt.Sprint(i), millis(1_000_000-1000*i), "id", 1, "data", data)
	}
	budget := int64(20 * (len(data) + 20))
	messages, report := inspectAll(t, New(open(t, addr), Options{MaxBytes: budget}))
	seen := make(map[string]bool)
	for _, m := range messages {
		seen[m.Stream] = true
	}
	if len(seen) < 18 || len(seen) > 20 {
		t.Errorf("%d streams seen within a budget for 20", len(seen))
	}
	for i := range len(seen) {
		if !seen[fmt.Sprint(i)] {
			t.Errorf("stream %d is among the %d most recent and was not seen", i, len(seen))
		}
	}
	if report.Bytes > budget || report.Streams+report.StreamsLeft < streams {
		t.Errorf("report %+v, budget %d", report, budget)
	}
}

func TestWhatABudgetDoesNotReachComesInTheNextRuns(t *testing.T) {
	t.Parallel()
	addr, rdb := fake(t)
	data := payload(t, burst.SizePrefixedBlock, 1000)
	const streams = 60
	for i := range streams {
		for n := range 5 {
			add(t, rdb, fmt.Sprint(i), millis(100_000*i+n), "id", 1, "data", data)
		}
	}
	i := New(open(t, addr), Options{Samples: 2, MaxBytes: int64(40 * (len(data) + 20))})
	seen := make(map[string]int)
	messages := make(map[string]bool)
	for range 2 * streams / 20 {
		for _, m := range first(inspectAll(t, i)) {
			seen[m.Stream]++
			messages[m.Stream+m.ID.String()] = true
		}
	}
	for i := range streams {
		if n := seen[fmt.Sprint(i)]; n < 2 || n > 8 {
			t.Errorf("%d messages of stream %d were seen", n, i)
		}
	}
	if len(messages) < 3*streams {
		t.Errorf("%d different messages were seen", len(messages))
	}
}

func first[T, U any](t T, _ U) T { return t }

func TestAGiantDoesNotKeepOthersFromBeingSeen(t *testing.T) {
	t.Parallel()
	addr, rdb := fake(t)
	data := payload(t, burst.Block, 1000)
	for i := range 50 {
		add(t, rdb, fmt.Sprint(i), millis(i), "id", 1, "data", data)
	}
	add(t, rdb, "beyond the budget", millis(900), "id", 1, "data", payload(t, burst.Block, 200_000))
	add(t, rdb, "beyond any burst", millis(901), "id", 1, "data", string(make([]byte, 2<<20)))
	messages, report := inspectAll(t, New(open(t, addr), Options{MaxBytes: 20_000, MaxBurst: 1 << 20}))
	verdicts := make(map[string]burst.Verdict)
	for _, m := range messages {
		verdicts[m.Stream] = m.Verdict
		if m.Stream == "beyond any burst" && (m.has("too_large") != true || m.CompressedBytes < 2<<20) {
			t.Errorf("%+v", m)
		}
	}
	if verdicts["beyond any burst"] != burst.Invalid {
		t.Error("what is too large for a burst was not judged")
	}
	if _, ok := verdicts["beyond the budget"]; ok {
		t.Error("what is beyond the budget was read")
	}
	if len(verdicts) < 15 || report.Bytes > 20_000 {
		t.Errorf("%d streams seen, report %+v", len(verdicts), report)
	}
}

func (m Message) has(r Reason) bool { return slices.Contains(m.Reasons, r) }
