package e2e

import (
	"maps"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/streamkeeper/streamkeeper/internal/program"
	"github.com/streamkeeper/streamkeeper/internal/redistest"
)

// calm are settings under which figures alone are read again and again.
func calm() map[string]string {
	return map[string]string{
		"TRIM_SCHEDULE": "@every 1h", "CLEANUP_SCHEDULE": "@every 1h", "INSPECT_SCHEDULE": "@every 1h",
		"TRIM_MAX_LENGTH": "1000", "TRIM_RESPECT_GROUPS": "true", "TRIM_POLICIES": "busy: max_length=1000", "CLEANUP_BRAKE": "1",
	}
}

// facts are the lines of a page of a stream in plain text, by their names.
func facts(page string) map[string][]string {
	all := make(map[string][]string)
	for line := range strings.Lines(page) {
		name, text := strings.TrimSpace(line[:min(len(line), 10)]), strings.TrimSpace(line[min(len(line), 10):])
		all[name] = append(all[name], text)
	}
	return all
}

// withoutAges takes the ages out of a text: it was asked for a little later than another.
func withoutAges(text string) string {
	return regexp.MustCompile(`([\d.]+(ms|µs|[dhms]) )*[\d.]+(ms|µs|[dhms]) ago`).ReplaceAllString(text, "ago")
}

func TestThePageOfAStreamSaysWhatExplainDoes(t *testing.T) {
	t.Parallel()
	redistest.EachVersion(t, func(t *testing.T, start redistest.StartFunc) {
		server := start(t)
		w := newFixture(server.Client, server.URL())
		ctx := t.Context()
		w.stream(t, "busy", 1500, 0, 10*time.Millisecond)
		w.stream(t, "dead", 5, 72*time.Hour, time.Millisecond)
		w.stream(t, "waits", 5, 3*time.Hour, time.Millisecond)
		w.stream(t, "odd/\xff \u202e%", 5, time.Hour, time.Millisecond)
		mustDo(t, w.client.XGroupCreate(ctx, "stream:busy", "viewer", "0").Err())
		w.session(t, "object", "live", "busy", time.Minute)
		w.session(t, "object", "old", "busy", 48*time.Hour)
		r := program.StartChecked(t, server.URL(), calm())
		program.Eventually(t, 30*time.Second, "a clean-up has run", func() bool {
			_, page := r.Get("/streams/waits")
			return strings.Contains(page, "no session names it; its last entry came")
		})
		maps.Copy(w.env, calm())
		for _, name := range []string{"busy", "dead", "waits"} {
			code, page := r.Get("/streams/" + name)
			if code != http.StatusOK {
				t.Errorf("%s: status %d", name, code)
			}
			_, explained, _ := w.env.Run(t, "explain", name)
			explained = withoutAges(strings.Join(strings.Fields(explained), " "))
			for fact, texts := range facts(page) {
				if fact == "session" {
					continue // the clean-up expires one of them in the meantime
				}
				for _, text := range texts {
					if !strings.Contains(explained, withoutAges(strings.Join(strings.Fields(fact+" "+text), " "))) {
						t.Errorf("the page of %s says %s: %s; explain says %s", name, fact, text, explained)
					}
				}
			}
		}
		busy := facts(second(r.Get("/streams/busy")))
		if len(busy["session"]) != 1 || !strings.HasPrefix(busy["session"][0], "live (object): live") || !strings.Contains(strings.Join(busy["protected"], ""), `"viewer" still needs`) {
			t.Errorf("%q", busy)
		}
		if dead := facts(second(r.Get("/streams/dead"))); len(dead["history"]) != 1 || !strings.HasPrefix(strings.Join(dead["clean-up"], ""), "retired: ") {
			t.Errorf("%q", dead)
		}
		if code, page := r.Get(`/streams/odd%5Cx2f%FF%20%E2%80%AE%25`); code != http.StatusOK || !strings.Contains(page, `odd/\xff \xe2\x80\xae%`) || !strings.Contains(page, "5 entries") {
			t.Errorf("status %d\n%s", code, page)
		}
		if code, page := r.Get("/streams/nobody"); code != http.StatusNotFound || !strings.Contains(page, "there is no such stream") {
			t.Errorf("status %d\n%s", code, page)
		}
		status := r.Status()
		if last := status.Removals.Last; len(last) != 2 || last[0].Name != "dead" || !last[0].Stream || last[1].Name != "old" || last[1].Stream || status.Leader.Name == "" {
			t.Errorf("%+v, led by %q", last, status.Leader.Name)
		}
	})
}

func second(_ int, body string) string { return body }

func TestPagesOfStreamsCostRedisLittle(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	w := newFixture(server.Client, server.URL())
	for i := range 3000 {
		w.client.SAdd(t.Context(), "streams", i)
	}
	w.stream(t, "busy", 1500, 0, 10*time.Millisecond)
	w.session(t, "object", "live", "busy", time.Minute)
	settings := calm()
	settings["METRICS_INTERVAL"] = "1h"
	r := program.Start(t, server.URL(), settings)
	program.Eventually(t, 30*time.Second, "a clean-up has run", func() bool { return r.Status().Sessions.Live == 1 })
	program.Eventually(t, time.Minute, "each job has run", func() bool {
		return r.Runs("trim") > 0 && r.Runs("inspect") > 0 && r.Runs("metrics") > 0
	})
	if code, page := r.Get("/streams/busy"); code != http.StatusOK || !strings.Contains(page, "live (object)") {
		t.Fatalf("status %d\n%s", code, page)
	}
	time.Sleep(time.Second) // the jobs' last words
	mustDo(t, server.ResetCalls(t.Context()))
	var all sync.WaitGroup
	for range 40 {
		all.Go(func() {
			for _, name := range []string{"busy", "17"} {
				if code, page := r.Get("/streams/" + name); code != http.StatusOK {
					t.Errorf("status %d\n%s", code, page)
				}
			}
		})
	}
	all.Wait()
	calls, err := server.CommandCalls(t.Context())
	mustDo(t, err)
	for _, scan := range []string{"sscan", "hscan", "scan"} {
		if calls[scan] > 0 {
			t.Errorf("%s was called %d times", scan, calls[scan])
		}
	}
	// Two streams, twice at the most if a page waited for long.
	if calls["smismember"] > 2*4 || calls["xrevrange"] > 2 || calls["hmget"] > 4*48 {
		t.Errorf("the calls are %v", calls)
	}
}

func TestAFollowerNamesTheLeader(t *testing.T) {
	f := startFleet(t)
	leader := program.LeaderOf(t, time.Second, f.replicas)
	name := leader.Status().Leader.Name
	if name == "" {
		t.Fatal("the leader does not name itself")
	}
	for _, r := range f.others(leader) {
		program.Eventually(t, 5*time.Second, "a follower names the leader", func() bool { return r.Status().Leader.Name == name })
		if _, page := r.Get("/"); !strings.Contains(page, "<bdi>"+name+"</bdi> leads") {
			t.Error("its page does not say it")
		}
		if _, page := r.Get("/streams/busy"); !strings.Contains(page, "not known here: the leader cleans up") {
			t.Errorf("the page of a stream says\n%s", page)
		}
	}
}
