package e2e

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/streamkeeper/streamkeeper/internal/cli"
	"github.com/streamkeeper/streamkeeper/internal/redistest"
)

// after lets a fault begin with the nth command, and go on from there.
func after(n int64, f redistest.Fault) func([]string) redistest.Fault {
	var seen atomic.Int64
	return func([]string) redistest.Fault {
		if seen.Add(1) < n {
			return redistest.Fault{}
		}
		return f
	}
}

// every makes a fault of each nth command.
func every(n int64, f redistest.Fault) func([]string) redistest.Fault {
	var seen atomic.Int64
	return func([]string) redistest.Fault {
		if seen.Add(1)%n != 0 {
			return redistest.Fault{}
		}
		return f
	}
}

// writesAnswer answers all that writes, as a server does that takes no writes.
func writesAnswer(text string) func([]string) redistest.Fault {
	return func(command []string) redistest.Fault {
		switch strings.ToLower(command[0]) {
		case "xtrim", "evalsha", "eval", "unlink", "srem", "sadd", "hset", "zadd", "zrem", "set":
			return redistest.Fault{Reply: text}
		}
		return redistest.Fault{}
	}
}

func says(text string) redistest.Fault { return redistest.Fault{Reply: text} }

func TestUnderEachFaultNothingIsLostAndTheNextRunGoesOn(t *testing.T) {
	t.Parallel()
	const loading = "LOADING Redis is loading the dataset in memory"
	for _, c := range []struct {
		name  string
		fault func([]string) redistest.Fault
		// class is in the log of a run that fails; "" for one that must not, and
		// "?" for one that may.
		class string
	}{
		{"loading from the start", after(1, says(loading)), "loading"},
		{"loading in the middle", after(30, says(loading)), "loading"},
		{"loading for a moment", every(40, says(loading)), "?"},
		{"a failover: the master became a replica", writesAnswer("READONLY You can't write against a read only replica."), "readonly"},
		{"a replica whose master is down", after(20, says("MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.")), "loading"},
		{"another client's script runs and runs", after(25, says("BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.")), "loading"},
		{"no command is known by its hash", func(command []string) redistest.Fault {
			if strings.EqualFold(command[0], "evalsha") {
				return says("NOSCRIPT No matching script. Please use EVAL.")
			}
			return redistest.Fault{}
		}, ""},
		{"out of memory for all that grows", func(command []string) redistest.Fault {
			switch strings.ToLower(command[0]) {
			case "sadd", "zadd", "hset", "set":
				return says("OOM command not allowed when used memory > 'maxmemory'.")
			}
			return redistest.Fault{}
		}, ""},
		{"the disk is full", writesAnswer("MISCONF Errors writing to the AOF file: No space left on device"), "other"},
		{"too few replicas", writesAnswer("NOREPLICAS Not enough good replicas to write."), "other"},
		{"the password is asked for", after(10, says("NOAUTH Authentication required.")), "auth"},
		{"a right is taken away", func(command []string) redistest.Fault {
			if strings.EqualFold(command[0], "xtrim") {
				return says("NOPERM User keeper has no permissions to run the 'xtrim' command")
			}
			return redistest.Fault{}
		}, "auth"},
		{"the cluster is down", after(12, says("CLUSTERDOWN The cluster is down")), "moved"},
		{"all connections are refused", nil, "connection"},
		{"connections are reset from the start", after(1, redistest.Fault{Reset: true}), "connection"},
		{"connections are reset in the middle", after(40, redistest.Fault{Reset: true}), "connection"},
		{"a connection is reset now and then", every(60, redistest.Fault{Reset: true}), "?"},
		{"an answer is lost now and then", every(70, redistest.Fault{Lose: true}), "?"},
		{"an answer is cut off now and then", every(70, redistest.Fault{Cut: true}), "?"},
		{"a black hole from the start", after(1, redistest.Fault{Hole: true}), "timeout"},
		{"a black hole in the middle", after(40, redistest.Fault{Hole: true}), "timeout"},
		{"answers after ten seconds", after(15, redistest.Fault{Delay: 10 * time.Second}), "timeout"},
		{"too many clients", after(1, says("ERR max number of clients reached")), "connection"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := redistest.Start(t)
			p := redistest.StartProxy(t, s.Addr)
			r := newFixture(s.Client, p.URL())
			r.env["REDIS_TIMEOUT"] = "1s"
			r.fill(t, allLayouts()...)
			p.Set(c.fault)
			p.Down(c.fault == nil)
			started := time.Now()
			code, out, errs := r.env.Run(t, "once")
			took := time.Since(started)
			p.Set(nil)
			p.Down(false)
			r.keeps(t, allLayouts()...)
			// Each of the three jobs meets the fault once.
			if took > 7*time.Second { // a busy machine adds to it
				t.Errorf("it took %s", took)
			}
			if c.class == "" && code != cli.ExitOK || len(c.class) > 1 && code != cli.ExitFailure {
				t.Errorf("exit %d\n%s%s", code, out, errs)
			}
			if len(c.class) > 1 && strings.Contains(errs, `"class"`) && !strings.Contains(errs, fmt.Sprintf(`"class":%q`, c.class)) {
				t.Errorf("the class is not %s:\n%s", c.class, errs)
			}
			r.env.MustRun(t, "once")
			r.env.MustRun(t, "once")
			r.tidyLater(t)
		})
	}
}

// tidyLater is tidy after a fault that may have left a name without a key in
// the set, which a run takes out a day later.
func (f *fixture) tidyLater(t *testing.T) {
	t.Helper()
	ctx := t.Context()
	for _, name := range []string{"dead", "orphan\xff"} {
		if f.client.ZScore(ctx, "streamkeeper:sighted", name).Err() == nil {
			f.client.ZAdd(ctx, "streamkeeper:sighted", redis.Z{Score: float64(f.now.Add(-25 * time.Hour).UnixMilli()), Member: name})
			f.env.MustRun(t, "once", "cleanup")
		}
	}
	f.tidy(t, allLayouts()...)
}

func TestARestartInTheMiddleOfARun(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t, "--appendonly", "yes", "--appendfsync", "always")
	p := redistest.StartProxy(t, s.Addr)
	r := newFixture(s.Client, p.URL())
	r.env["REDIS_TIMEOUT"] = "1s"
	for n := int64(15); n < 150; n += 30 {
		r.fill(t, "object", "keys")
		var seen atomic.Int64
		restarted := make(chan error, 1)
		p.Set(func([]string) redistest.Fault {
			if seen.Add(1) == n {
				s.Kill()
				go func() { restarted <- s.Run() }()
			}
			return redistest.Fault{}
		})
		code, out, errs := r.env.Run(t, "once")
		p.Set(nil)
		mustDo(t, <-restarted)
		if code != cli.ExitOK && code != cli.ExitFailure {
			t.Errorf("exit %d\n%s%s", code, out, errs)
		}
		redistest.Await(t, "Redis", func() bool { return r.client.Ping(t.Context()).Err() == nil })
		r.keeps(t, "object", "keys")
		r.env.MustRun(t, "once")
	}
}

func TestABusyScriptOfSomebodyElse(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t, "--busy-reply-threshold", "200")
	r := newFixture(s.Client, s.URL())
	r.fill(t, "object", "keys")
	r.env["REDIS_TIMEOUT"] = "1s"
	go s.Client.Eval(t.Context(), "while true do end", nil)
	redistest.Await(t, "the script", func() bool {
		return strings.HasPrefix(fmt.Sprint(redis.NewClient(&redis.Options{Addr: s.Addr, Protocol: 2}).Ping(t.Context()).Err()), "BUSY")
	})
	code, _, errs := r.env.Run(t, "once")
	if code != cli.ExitFailure || !strings.Contains(errs, "BUSY") {
		t.Errorf("exit %d\n%s", code, errs)
	}
	mustDo(t, redis.NewClient(&redis.Options{Addr: s.Addr, Protocol: 2}).ScriptKill(t.Context()).Err())
	r.env.MustRun(t, "once")
	r.tidy(t, "object", "keys")
}

func TestScriptsThatAreForgottenAllTheTime(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	r := newFixture(s.Client, s.URL())
	r.fill(t, allLayouts()...)
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-stop:
				return
			default:
				s.Client.ScriptFlush(t.Context())
			}
		}
	}()
	r.env.MustRun(t, "once")
	close(stop)
	<-done
	r.tidy(t, allLayouts()...)
}

func TestAMissingRightIsNamed(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	r := newFixture(s.Client, "redis://keeper:secret@"+s.Addr)
	words, _ := aclRule(t, r.env)
	for word, want := range map[string]string{
		"+xtrim": "+xtrim", "+hdel": "+hdel", "+sscan": "+sscan", "+evalsha": "+evalsha", "+memory|usage": "+memory|usage", "+hget": "+hget", "+xinfo|groups": "+xinfo|groups", "~sessions": "to the key in HSCAN",
	} {
		t.Run(word, func(t *testing.T) {
			rule := []string{}
			for _, w := range words {
				if w != word {
					rule = append(rule, w)
				}
			}
			keeperUnder(t, s, rule)
			r.fill(t, "object")
			code, _, errs := r.env.Run(t, "once")
			if code != cli.ExitFailure || !strings.Contains(errs, "lacks the right "+want) {
				t.Errorf("exit %d\n%s", code, errs)
			}
		})
	}
}
