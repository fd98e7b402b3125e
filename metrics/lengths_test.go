package metrics

import (
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/streamkeeper/streamkeeper/internal/redistest"
	"github.com/streamkeeper/streamkeeper/trim"
)

func protectedOf(label, by string) string {
	return `streamkeeper_stream_protected_entries{by="` + by + `",stream="` + label + `"}`
}

func TestAReadingAfterATrimmingRunAsksOnlyTheLargest(t *testing.T) {
	server := redistest.Start(t)
	ctx := t.Context()
	for name, entries := range map[string]int{"a": 5, "b": 3, "c": 2, "d": 1} {
		server.Client.SAdd(ctx, "streams", name)
		for range entries {
			server.Client.XAdd(ctx, &redis.XAddArgs{Stream: "stream:" + name, Values: []string{"d", "x"}})
		}
	}
	m := newMetrics(2)
	m.Leader(true)
	reader := NewReader(openBuffer(t, server), m)
	sampled := int64(4)
	asks := func(want int64) {
		t.Helper()
		if err := server.ResetCalls(ctx); err != nil {
			t.Fatal(err)
		}
		if err := reader.Read(ctx); err != nil {
			t.Fatal(err)
		}
		calls, err := server.CommandCalls(ctx)
		if err != nil {
			t.Fatal(err)
		}
		// The two that have labels are measured, which asks for their lengths too, and at
		// first all are.
		if calls["xlen"] != want+sampled+2 || calls["sscan"] != min(1, want) {
			t.Errorf("calls %v, want %d XLEN", calls, want)
		}
		wantValue(t, m, `streamkeeper_streams`, 4)
		wantValue(t, m, `streamkeeper_stream_entries{stream="a"}`, 5)
		wantValue(t, m, `streamkeeper_stream_entries{stream="_other"}`, 3)
	}
	asks(4) // the first reading, before a run
	sampled = 0
	l := m.NewLengths()
	for name, entries := range map[string]int64{"a": 5, "b": 3, "c": 2, "d": 1} {
		l.Add(name, entries, []trim.Protection{{By: trim.ProtectedByNode, Entries: entries - 1}, {By: trim.ProtectedByAge, Entries: 7}})
	}
	asks(4) // the run is not at its end
	l.Use()
	asks(0)
	for series, want := range map[string]float64{
		protectedOf("a", "node"): 4, protectedOf("b", "node"): 2, protectedOf("_other", "node"): 1, protectedOf("_other", "age"): 14,
		protectedOf("a", "age"): 7, protectedOf("a", "group"): 0, protectedOf("a", "pause"): 0,
	} {
		wantValue(t, m, series, want)
	}
	asks(4) // no run since
	wantValue(t, m, protectedOf("a", "node"), 4)
	l.Use()
	m.Leader(false)
	wantValue(t, m, protectedOf("_other", "node"), 0)
	m.Leader(true)
	asks(4) // what was learnt is old
	wantValue(t, m, protectedOf("a", "node"), 0)
}
