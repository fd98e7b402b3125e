package buffer

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/streamkeeper/streamkeeper/internal/redisconn"
	"github.com/streamkeeper/streamkeeper/internal/redistest"
)

func openFor(t *testing.T, server *redistest.Server) *Buffer {
	t.Helper()
	b, err := Open(t.Context(), Options{Connection: redisconn.Connection{URL: server.URL()}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	return b
}

func TestPausesHoldUntilTheyEnd(t *testing.T) {
	redistest.EachVersion(t, func(t *testing.T, start redistest.StartFunc) {
		ctx, server := t.Context(), start(t)
		b := openFor(t, server)
		short, err := b.Pause(ctx, Pause{Job: "trim", Reason: "test \xff day"}, time.Second)
		if err != nil {
			t.Fatal(err)
		}
		long, err := b.Pause(ctx, Pause{Pattern: "rocket\xfe-*"}, time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		held, err := b.Pauses(ctx)
		if err != nil || len(held) != 2 {
			t.Fatalf("%+v, %v", held, err)
		}
		if p := held[0]; p.ID != short.ID || p.Reason != "test \xff day" || p.Until != short.Until || p.Until.Sub(p.Since) != time.Second {
			t.Errorf("%+v", p)
		}
		if held.Of("trim", true).Whole() == nil || held.Of("cleanup", true).Whole() != nil || len(held.Of("inspect", false)) != 0 {
			t.Errorf("%+v", held)
		}
		if of := held.Of("cleanup", true); !of.Match("rocket\xfe-7") || of.Match("rocket-7") {
			t.Errorf("%+v", of)
		}
		if left := server.Client.PTTL(ctx, "streamkeeper:pauses").Val(); left <= 0 || left > time.Hour {
			t.Errorf("the pauses end in %s", left)
		}
		time.Sleep(time.Until(short.Until) + 50*time.Millisecond)
		if held, err = b.Pauses(ctx); err != nil || len(held) != 1 || held[0].ID != long.ID {
			t.Errorf("%+v, %v", held, err)
		}
		if _, err := b.Resume(ctx, long.ID, "none"); !errors.Is(err, ErrNoSuchPause) {
			t.Error(err)
		}
		if ended, err := b.Resume(ctx, long.ID); err != nil || len(ended) != 1 {
			t.Errorf("%+v, %v", ended, err)
		}
		if n := server.Client.Exists(ctx, "streamkeeper:pauses").Val(); n != 1 {
			// The one that has ended is still noted, and the next pause takes it away.
			t.Errorf("%d keys", n)
		}
		if _, err := b.Pause(ctx, Pause{}, time.Hour); err != nil {
			t.Fatal(err)
		}
		if n := server.Client.HLen(ctx, "streamkeeper:pauses").Val(); n != 1 {
			t.Errorf("%d notes", n)
		}
	})
}

func TestAPauseIsNotedAtMaxmemoryToo(t *testing.T) {
	redistest.EachVersion(t, func(t *testing.T, start redistest.StartFunc) {
		ctx, server := t.Context(), start(t)
		b := openFor(t, server)
		if err := server.Client.ConfigSet(ctx, "maxmemory", "1").Err(); err != nil {
			t.Fatal(err)
		}
		if err := server.Client.Set(ctx, "x", "y", 0).Err(); err == nil {
			t.Fatal("Redis has memory")
		}
		p, err := b.Pause(ctx, Pause{}, time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		if held, err := b.Pauses(ctx); err != nil || len(held) != 1 || held[0].ID != p.ID {
			t.Errorf("%+v, %v", held, err)
		}
		if ended, err := b.Resume(ctx); err != nil || len(ended) != 1 {
			t.Errorf("%+v, %v", ended, err)
		}
	})
}

func TestPausesAreBounded(t *testing.T) {
	ctx, server := t.Context(), redistest.Start(t)
	b := openFor(t, server)
	for _, bad := range []struct {
		pause  Pause
		length time.Duration
	}{
		{Pause{}, 0}, {Pause{}, -time.Hour}, {Pause{}, LongestPause + time.Second},
		{Pause{Reason: strings.Repeat("x", MaxNote+1)}, time.Hour},
		{Pause{Pattern: strings.Repeat("x", MaxNote+1)}, time.Hour},
		{Pause{Pattern: `"x`}, time.Hour},
	} {
		if _, err := b.Pause(ctx, bad.pause, bad.length); err == nil {
			t.Errorf("%+v for %s was noted", bad.pause, bad.length)
		}
	}
	for range MaxPauses {
		if _, err := b.Pause(ctx, Pause{}, time.Hour); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := b.Pause(ctx, Pause{}, time.Hour); err == nil || !strings.Contains(err.Error(), "100 pauses") {
		t.Error(err)
	}
	if ended, err := b.Resume(ctx); err != nil || len(ended) != MaxPauses {
		t.Errorf("%d, %v", len(ended), err)
	}
}

func TestPausesThatCannotBeReadAreAnErrorUntilTheyAreEnded(t *testing.T) {
	ctx, server := t.Context(), redistest.Start(t)
	b := openFor(t, server)
	server.Client.HSet(ctx, "streamkeeper:pauses", "x", "odd")
	if _, err := b.Pauses(ctx); err == nil {
		t.Error("an odd note was read")
	}
	if _, err := b.Resume(ctx); err != nil {
		t.Error(err)
	}
	if held, err := b.Pauses(ctx); err != nil || len(held) != 0 {
		t.Errorf("%+v, %v", held, err)
	}
	server.Client.Set(ctx, "streamkeeper:pauses", "x", 0)
	if _, err := b.Pauses(ctx); err == nil {
		t.Error("a String was read")
	}
	if _, err := b.Pause(ctx, Pause{}, time.Hour); err == nil || !strings.Contains(err.Error(), "no hash") {
		t.Error(err)
	}
}

func FuzzNotesOfPausesAreReadOrFaults(f *testing.F) {
	f.Add(`1700000000000 1600000000000 {"job":"trim","stream":"a*","reason":"b"}`)
	f.Add("1 1 {}")
	f.Fuzz(func(t *testing.T, note string) {
		if p, err := parsePause("x", note); err == nil && p.ID != "x" {
			t.Errorf("%+v", p)
		}
	})
}
