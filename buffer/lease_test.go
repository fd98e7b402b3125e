package buffer

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/streamkeeper/streamkeeper/internal/redistest"
)

const leaseKey = "streamkeeper:lease"

func TestTheLeaseIsOnes(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	ctx := t.Context()
	l := open(t, s.URL(), nil).Lease()
	holder := func() string { return s.Client.Get(ctx, leaseKey).Val() }
	steps := []struct {
		name string
		do   func() (bool, error)
		want bool
	}{
		{"a takes it", func() (bool, error) { return l.Acquire(ctx, "a", time.Minute) }, true},
		{"b does not", func() (bool, error) { return l.Acquire(ctx, "b", time.Minute) }, false},
		{"b cannot renew", func() (bool, error) { return l.Renew(ctx, "b", time.Minute) }, false},
		{"a renews", func() (bool, error) { return l.Renew(ctx, "a", time.Minute) }, true},
		{"b's release changes nothing", func() (bool, error) { err := l.Release(ctx, "b"); return holder() == "a", err }, true},
		{"a releases", func() (bool, error) { err := l.Release(ctx, "a"); return holder() == "", err }, true},
		{"b takes it", func() (bool, error) { return l.Acquire(ctx, "b", time.Minute) }, true},
	}
	for _, step := range steps {
		if got, err := step.do(); got != step.want || err != nil {
			t.Errorf("%s: %v, %v", step.name, got, err)
		}
	}
}

func TestALeaseThatDoesNotEndIsGivenAnEnd(t *testing.T) {
	const ttl = 15 * time.Second
	redistest.EachVersion(t, func(t *testing.T, start redistest.StartFunc) {
		s := start(t)
		ctx := t.Context()
		l := open(t, s.URL(), nil).Lease()
		for _, c := range []struct {
			name       string
			left, want time.Duration // 0 is for ever
			full       bool
		}{
			{name: "no time to live", want: ttl},
			{name: "a time to live of years", left: 10_000 * time.Hour, want: ttl},
			{name: "no time to live, out of memory", want: ttl, full: true},
			{name: "an hour to live", left: time.Hour, want: time.Hour},
			{name: "a day to live", left: 24 * time.Hour, want: 24 * time.Hour},
		} {
			limit := "0"
			if c.full {
				limit = "1"
			}
			s.Client.FlushAll(ctx)
			s.Client.Set(ctx, leaseKey, "gone", c.left)
			s.Client.ConfigSet(ctx, "maxmemory", limit)
			if ok, err := l.Acquire(ctx, "us", ttl); ok || err != nil {
				t.Errorf("%s: %v, %v, want it to be another's until it ends", c.name, ok, err)
			}
			if left := s.Client.PTTL(ctx, leaseKey).Val(); left <= c.want-time.Minute || left <= 0 || left > c.want {
				t.Errorf("%s: it has %s to live, want %s", c.name, left, c.want)
			}
			s.Client.ConfigSet(ctx, "maxmemory", "0")
			if ok, err := l.Renew(ctx, "gone", time.Minute); !ok || err != nil {
				t.Errorf("%s: its owner, if it lives, cannot renew it: %v, %v", c.name, ok, err)
			}
			s.Client.PExpire(ctx, leaseKey, -time.Second)
			if ok, err := l.Acquire(ctx, "us", ttl); !ok || err != nil {
				t.Errorf("%s: nobody takes over at its end: %v, %v", c.name, ok, err)
			}
		}
	})
}

// A lease that its writer cannot renew any more, and that ends only in an hour, is
// said once: until then nobody leads.
func TestALeaseThatEndsMuchLaterIsSaid(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	for left, want := range map[time.Duration]int{time.Hour: 1, 2 * time.Minute: 0} {
		var log bytes.Buffer
		l := open(t, s.URL(), func(o *Options) { o.Log = slog.New(slog.NewTextHandler(&log, nil)) }).Lease()
		s.Client.Set(t.Context(), "streamkeeper:lease", "gone", left)
		for range 3 {
			if ok, err := l.Acquire(t.Context(), "us", time.Minute); ok || err != nil {
				t.Errorf("%v, %v", ok, err)
			}
		}
		if n := strings.Count(log.String(), "lease ends much later than LEASE_TTL"); n != want {
			t.Errorf("%s: said %d times:\n%s", left, n, log.String())
		}
	}
}

func TestALeaseThatNobodyCanHoldIsNamed(t *testing.T) {
	redistest.EachVersion(t, func(t *testing.T, start redistest.StartFunc) {
		s := start(t)
		ctx := t.Context()
		l := open(t, s.URL(), nil).Lease()
		for _, c := range []struct {
			why  string
			fill func()
		}{
			{"streamkeeper:lease is a hash", func() { s.Client.HSet(ctx, leaseKey, "a", 1) }},
			{"streamkeeper:lease is a list", func() { s.Client.RPush(ctx, leaseKey, "a"); s.Client.Expire(ctx, leaseKey, time.Hour) }},
			{"out of memory", func() { s.Client.ConfigSet(ctx, "maxmemory", "1") }},
		} {
			s.Client.FlushAll(ctx)
			c.fill()
			before := s.Client.Dump(ctx, leaseKey).Val()
			if ok, err := l.Acquire(ctx, "us", time.Minute); ok || !errors.Is(err, ErrLeaseUnwritable) || !strings.Contains(err.Error(), c.why) {
				t.Errorf("%s: Acquire gave %v, %v", c.why, ok, err)
			}
			if ok, err := l.Renew(ctx, "us", time.Minute); ok || err != nil {
				t.Errorf("%s: Renew gave %v, %v", c.why, ok, err)
			}
			if err := l.Release(ctx, "us"); err != nil {
				t.Errorf("%s: Release gave %v", c.why, err)
			}
			if after := s.Client.Dump(ctx, leaseKey).Val(); after != before {
				t.Errorf("%s: the key was changed", c.why)
			}
		}
	})
}

func TestTheLeaseSaysWhoHoldsIt(t *testing.T) {
	ctx, server := t.Context(), redistest.Start(t)
	lease := openOn(t, server.URL()).Lease()
	for token, want := range map[string]string{"": "", "pod-1/7 QX5": "pod-1/7", "QX5": "", "a b c": "a"} {
		server.Client.Del(ctx, "streamkeeper:lease")
		if token != "" {
			if ok, err := lease.Acquire(ctx, token, time.Minute); err != nil || !ok {
				t.Fatal(ok, err)
			}
		}
		if got, err := lease.Holder(ctx); got != want || err != nil {
			t.Errorf("%q: %q, %v", token, got, err)
		}
	}
	server.Client.Del(ctx, "streamkeeper:lease")
	server.Client.SAdd(ctx, "streamkeeper:lease", "x")
	if got, err := lease.Holder(ctx); got != "" || err != nil {
		t.Errorf("of another type: %q, %v", got, err)
	}
}
