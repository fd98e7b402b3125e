package web

import (
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"
)

func pageOf(t *testing.T, s Status, query string) string {
	t.Helper()
	answer := ask(t, serverOf(s), http.MethodGet, "/"+query, browser)
	if answer.Code != http.StatusOK || !strings.Contains(answer.Body.String(), "</html>") {
		t.Fatalf("status %d, the page ends with %.200s", answer.Code, answer.Body)
	}
	return answer.Body.String()
}

func wantIn(t *testing.T, page string, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if !strings.Contains(page, text) {
			t.Errorf("the page has no %q", text)
		}
	}
}

func streamsNamed(names ...string) Streams {
	s := Streams{Read: now, Total: int64(len(names))}
	for i, name := range names {
		s.Largest = append(s.Largest, Stream{Name: name, Entries: int64(len(names) - i)})
	}
	return s
}

// rows are the names in the table of streams, in their order.
func rows(page string) []string {
	_, page, _ = strings.Cut(page, `<table class="streams" role="table">`)
	page, _, _ = strings.Cut(page, `</table>`)
	var names []string
	for _, found := range regexp.MustCompile(`<th scope="row" role="rowheader"><a href="[^"]*"><bdi>([^<]*)</bdi>`).FindAllStringSubmatch(page, -1) {
		names = append(names, found[1])
	}
	return names
}

func TestThePageShowsWhatThereIs(t *testing.T) {
	s := quiet()
	s.Instance, s.DryRun = "pod-1", true
	coverage, idle := 900.0, 3.0
	s.Streams = Streams{
		Read: now.Add(-5 * time.Second), Total: 1501, Others: 1500, OtherEntries: 77_000,
		Largest: []Stream{{
			Name: "rocket", Entries: 5000, Limit: 10_000, Bytes: 5 << 20, LimitBytes: 64 << 20, Estimated: true, Coverage: &coverage, Idle: &idle, Trimmed: now.Add(-time.Minute), Removed: 1234,
			Inspected: now, Encoding: "pickle", OK: 1, Warn: 2, Invalid: 3,
		}},
	}
	s.Sessions = Sessions{Read: now, Live: 409, Stale: 1, Malformed: 2}
	s.Errors = []Error{{Time: now.Add(-time.Hour), Source: "inspect", Text: "it broke", Count: 3}}
	s.NextCleanup = NextCleanup{Decided: now, Expire: 300, Retire: 1, Brake: "300 of 409 sessions would expire"}
	for i := range 25 {
		s.NextCleanup.Examples = append(s.NextCleanup.Examples, Action{"expire", fmt.Sprint("id-", i), "rocket", "not updated for 26h"})
	}
	page := pageOf(t, s, "")
	wantIn(t, page,
		"Healthy, but look", "pod-1", "dry run", "Leads", "holds the lease",
		"12s ago", "in 18s", "nothing to do",
		"rocket", "5 000", `class="bar b10"`, "50 % of 10 000", "~5.0 MiB<small>of 64.0 MiB</small>", "15m", "3s", "1m ago", "−1 234", "pickle", "3 invalid", "2 warn", "1 ok",
		"1 500 other streams", "77 000", "the largest 1 of 1 501",
		"409 live", "1 stale, 2 malformed",
		"300 of 409 sessions would expire", "expire 300 sessions", "retire 1 stream<", "id-11", "and 289 more",
		"1h ago", "it broke", "3 times",
	)
	if strings.Contains(page, "id-12") {
		t.Error("the page shows more than 12 examples")
	}
}

func TestThePageOfAFollowerSendsToTheLeader(t *testing.T) {
	s := quiet()
	s.Leader = Leader{Lease: "standby"}
	s.Jobs = []Job{{Name: "trim", Schedule: "@every 30s"}}
	wantIn(t, pageOf(t, s, ""), "Follows", "nobody is known to lead", "not here", "The leader reads the streams")
}

func TestThePageOfAReplicaThatWaitsForRedisSpeaksOfNoLeader(t *testing.T) {
	for what, change := range map[string]func(*Status){
		"it was never reached":  func(s *Status) { s.Redis = Redis{Error: "wrong user or password"} },
		"it cannot be used now": func(s *Status) { s.Redis.Error = "connection refused" },
		"it is a replica":       func(s *Status) { s.Redis.Refused = "a replica" },
		"it refuses the lease":  func(s *Status) { s.Leader.Error = "NOPERM" },
	} {
		s := quiet()
		s.Leader = Leader{Lease: "standby"}
		s.Streams, s.Sessions, s.NextCleanup, s.Doctor = Streams{}, Sessions{}, NextCleanup{}, Doctor{}
		s.Jobs = []Job{{Name: "trim", Schedule: "@every 30s"}}
		change(&s)
		page := pageOf(t, s, "")
		wantIn(t, page, "<dd>Waits</dd>", "for Redis", "once Redis can be used", "The streams are not read, for want of Redis", "waits for Redis")
		for _, untrue := range []string{"he leader", "Follows", "always works", "No job is enabled", "not run by this replica"} {
			if strings.Contains(page, untrue) {
				t.Errorf("%s, and the page says %q", what, untrue)
			}
		}
	}
}

func TestThePageOfNothing(t *testing.T) {
	wantIn(t, pageOf(t, Status{Frame: Frame{Time: now}}, ""), "Healthy", "No job is enabled", "None since start")
	s := quiet()
	s.Streams = Streams{Read: now}
	wantIn(t, pageOf(t, s, ""), "There is no stream")
	s.Streams = Streams{Read: now, Total: 3, Others: 3, OtherEntries: 12}
	wantIn(t, pageOf(t, s, ""), "3 streams with 12 entries in all")
}

func TestNamesThatTryToBeHTMLAreText(t *testing.T) {
	evil := []string{
		`<script>alert(1)</script>`, `"><img src=x onerror=alert(1)>`, `' onmouseover='alert(1)`, `</table></main>`,
		`{{.Version}}`, `javascript:alert(1)`, `<!--`, `&lt;b&gt;`,
	}
	s := quiet()
	s.Streams = streamsNamed(append(evil, "")...)
	s.Instance = evil[0]
	s.Redis.Error = evil[0]
	for _, name := range evil {
		s.Jobs = append(s.Jobs, Job{Name: name, Schedule: name, Result: "error", Error: name, Summary: name})
		s.Errors = append(s.Errors, Error{Time: now, Source: name, Text: name, Count: 1})
		s.NextCleanup.Examples = append(s.NextCleanup.Examples, Action{name, name, name, name})
		s.Streams.Largest[0].Encoding = name
	}
	s.NextCleanup.Decided, s.NextCleanup.Brake, s.NextCleanup.Expire = now, evil[0], 8
	page := pageOf(t, s, "?sort=%3Cscript%3Ealert(1)&order=%22%3E%3Cscript%3E")
	for _, bad := range []string{"<script>alert", "<img src=x", "onmouseover='", "<!--", "\"javascript:alert(1)"} {
		if strings.Contains(page, bad) {
			t.Errorf("the page holds %s", bad)
		}
	}
	if n := strings.Count(page, "<script"); n != 1 {
		t.Errorf("the page has %d scripts, want its own", n)
	}
	wantIn(t, page, "&lt;script&gt;alert(1)&lt;/script&gt;", "{{.Version}}", "(empty name)")
}

func TestThePageNeedsNothingThatItsPolicyForbids(t *testing.T) {
	s := quiet()
	s.Streams = streamsNamed("a", "b")
	page := pageOf(t, s, "")
	for _, bad := range []string{" style=", "<style", "http://", "https://", " onclick"} {
		if strings.Contains(page, bad) {
			t.Errorf("the page holds %q", bad)
		}
	}
}

func TestTheTableIsSortedByTheServer(t *testing.T) {
	s := quiet()
	short, long := 1.0, 2.0
	s.Streams = Streams{Read: now, Total: 3, Largest: []Stream{
		{Name: "b", Entries: 30, Limit: 100, Bytes: 200, Coverage: &long, Idle: &short, Trimmed: now, Encoding: "frame", OK: 9},
		{Name: "a", Entries: 20, Limit: 20, Bytes: 300, Coverage: &short, Idle: &long, Encoding: "pickle", Warn: 1},
		{Name: "c", Entries: 10, Trimmed: now.Add(-1), Invalid: 1},
	}}
	tests := map[string]string{
		"":                           "a b c",
		"?sort=memory&order=asc":     "c b a",
		"?sort=length":               "b a c",
		"?sort=length&order=asc":     "c a b",
		"?sort=length&order=up":      "b a c",
		"?sort=nothing&order=asc":    "a b c",
		"?sort=name":                 "a b c",
		"?sort=name&order=desc":      "c b a",
		"?sort=limit":                "a b c",
		"?sort=coverage":             "b a c",
		"?sort=coverage&order=asc":   "c a b",
		"?sort=idle":                 "a b c",
		"?sort=trim":                 "b c a",
		"?sort=encoding":             "c b a",
		"?sort=verdict":              "c a b",
		"?sort=verdict&order=asc":    "b a c",
		"?sort=verdict&sort=invalid": "c a b",
	}
	for query, want := range tests {
		if got := strings.Join(rows(pageOf(t, s, query)), " "); got != want {
			t.Errorf("%q: %s, want %s", query, got, want)
		}
	}
}

func TestAHeadingSortsAndThenTurnsRound(t *testing.T) {
	s := quiet()
	s.Streams = streamsNamed("a")
	page := pageOf(t, s, "?sort=name")
	wantIn(t, page,
		`<th scope="col" role="columnheader" class="name" aria-sort="ascending"><a href="?order=desc&amp;sort=name#streams"`,
		`<th scope="col" role="columnheader" class="idle"><a href="?order=desc&amp;sort=idle#streams"`)
	wantIn(t, pageOf(t, s, "?sort=name&order=desc"),
		`<th scope="col" role="columnheader" class="name" aria-sort="descending"><a href="?order=asc&amp;sort=name#streams"`)
}

func TestSortingLeavesTheStatusAlone(t *testing.T) {
	s := quiet()
	s.Streams = streamsNamed("b", "a")
	pageOf(t, s, "?sort=name")
	if s.Streams.Largest[0].Name != "b" {
		t.Error("the page sorted what it was given, which others may be reading")
	}
}

func TestThePageIsPackedForThoseWhoUnpack(t *testing.T) {
	request := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", http.NoBody)
	request.Header.Set("Accept", browser)
	request.Header.Set("Accept-Encoding", "gzip, deflate, br")
	answer := httptest.NewRecorder()
	serverOf(quiet()).Handler().ServeHTTP(answer, request)
	if got := answer.Header().Get("Content-Encoding"); got != "gzip" {
		t.Fatalf("encoding %q", got)
	}
	unpacked, err := gzip.NewReader(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	html, err := io.ReadAll(unpacked)
	if err != nil {
		t.Fatal(err)
	}
	wantIn(t, string(html), "</html>")
}

func TestThePageIsNotPackedForThoseWhoRefuseThat(t *testing.T) {
	for _, accept := range []string{"", "gzip;q=0", "gzip; q=0.0, identity", "deflate", "x-gzip2"} {
		request := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", http.NoBody)
		request.Header.Set("Accept", browser)
		request.Header.Set("Accept-Encoding", accept)
		answer := httptest.NewRecorder()
		serverOf(quiet()).Handler().ServeHTTP(answer, request)
		if got := answer.Header().Get("Content-Encoding"); got != "" {
			t.Errorf("%q gets %q", accept, got)
		}
		wantIn(t, answer.Body.String(), "</html>")
	}
}

func TestErrorsThatRepeatAreCounted(t *testing.T) {
	var r Recent
	refused, broken := errors.New("refused"), errors.New("broken")
	r.Add(now, "trim", refused)
	r.Add(now, "cleanup", broken)
	r.Add(now.Add(time.Second), "trim", refused)
	r.Add(now.Add(2*time.Second), "trim", broken)
	r.Add(now.Add(3*time.Second), "trim", refused)
	var got []string
	for _, e := range r.Errors() {
		got = append(got, fmt.Sprintf("%s %s %d", e.Source, e.Text, e.Count))
	}
	want := "trim refused 1, trim broken 1, trim refused 2, cleanup broken 1"
	if strings.Join(got, ", ") != want {
		t.Errorf("%s, want %s", strings.Join(got, ", "), want)
	}
	for i := range 20 {
		r.Add(now, "trim", fmt.Errorf("error %d", i))
	}
	if all := r.Errors(); len(all) != 10 || all[0].Text != "error 19" {
		t.Errorf("%d errors, the first %q", len(all), all[0].Text)
	}
}

func TestTimesAreToldAsPeopleDo(t *testing.T) {
	for want, got := range map[string]string{
		"never":      ago(now, time.Time{}),
		"just now":   ago(now, now.Add(time.Minute)),
		"12s ago":    ago(now, now.Add(-12*time.Second)),
		"26h 3m ago": ago(now, now.Add(-26*time.Hour-3*time.Minute)),
		"in 12s":     in(now, now.Add(12*time.Second)),
		"now":        in(now, now.Add(-time.Second)),
		"":           in(now, time.Time{}),
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// On a phone tables are not laid out as tables, and a browser then forgets that
// they are some, unless roles say so.
func TestTablesKeepTheirMeaningHoweverTheyAreLaidOut(t *testing.T) {
	s := quiet()
	s.Streams = streamsNamed("a", "b")
	s.Streams.Others, s.Streams.Total = 5, 7
	s.NextCleanup = NextCleanup{Decided: now, Expire: 1, Examples: []Action{{"expire", "x", "a", "old"}}}
	page := pageOf(t, s, "")
	for _, tag := range regexp.MustCompile(`<(?:table|thead|tbody|tfoot|tr|th|td)\b[^>]*>`).FindAllString(page, -1) {
		if !strings.Contains(tag, " role=") || strings.HasPrefix(tag, "<th") && !strings.HasPrefix(tag, "<thead") && !strings.Contains(tag, " scope=") {
			t.Errorf("%s lacks its role or scope", tag)
		}
	}
}

func TestTheRootFailsWhenTheProcessCanDoNothingForItself(t *testing.T) {
	stalled := errors.New("the scheduler stands still")
	s := New(Options{Version: "1", Status: func(context.Context) Status { return quiet() }, Alive: func() error { return stalled }})
	for _, accept := range []string{"", browser} {
		if answer := ask(t, s, http.MethodGet, "/", accept); answer.Code != http.StatusServiceUnavailable || !strings.Contains(answer.Body.String(), stalled.Error()) {
			t.Errorf("status %d: %s", answer.Code, answer.Body)
		}
	}
	stalled = nil
	if answer := ask(t, s, http.MethodGet, "/", ""); answer.Code != http.StatusOK {
		t.Errorf("status %d: %s", answer.Code, answer.Body)
	}
}
