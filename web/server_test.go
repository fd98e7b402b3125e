package web

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/streamkeeper/streamkeeper/internal/escape"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var now = time.Date(2026, 3, 14, 15, 9, 26, 0, time.UTC)

// quiet is a daemon with which all is well.
func quiet() Status {
	return Status{
		Frame: Frame{Version: "v1.2.3", Time: now}, Started: now.Add(-time.Hour),
		Leader: Leader{Leading: true, Lease: "held"},
		Jobs: []Job{{
			Name: "trim", Schedule: "@every 30s", Result: "ok", LastStart: now.Add(-12 * time.Second),
			LastSuccess: now.Add(-12 * time.Second), NextRun: now.Add(18 * time.Second), Summary: "nothing to do",
		}},
	}
}

func serverOf(s Status) *Server {
	return New(Options{
		Version: s.Version,
		Status:  func(context.Context) Status { return s },
		Stream: func(_ context.Context, name string) StreamPage {
			return StreamPage{Frame: s.Frame, Name: escape.Name(name), Known: true, Leader: s.Leader}
		},
		Metrics: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "up 1\n") }),
	})
}

func ask(t *testing.T, s *Server, method, target, accept string) *httptest.ResponseRecorder {
	t.Helper()
	request := httptest.NewRequestWithContext(t.Context(), method, target, http.NoBody)
	if accept != "" {
		request.Header.Set("Accept", accept)
	}
	answer := httptest.NewRecorder()
	s.Handler().ServeHTTP(answer, request)
	return answer
}

const browser = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"

func TestTheRootIsAPageForBrowsersAndNameAndVersionForOthers(t *testing.T) {
	tests := []struct {
		accept string
		page   bool
	}{
		{browser, true},
		{"application/json, text/html;q=0.1", true},
		{"TEXT/HTML", true},
		{"", false},
		{"*/*", false},
		{"text/plain", false},
		{"text/html;q=0", false},
		{"text/html;q=0.0, */*", false},
		{";;;", false},
	}
	sick := quiet()
	sick.Redis.Error = "gone"
	for _, tt := range tests {
		for _, s := range []Status{quiet(), sick} {
			answer := ask(t, serverOf(s), http.MethodGet, "/", tt.accept)
			if answer.Code != http.StatusOK {
				t.Errorf("Accept %q: status %d", tt.accept, answer.Code)
			}
			kind := answer.Header().Get("Content-Type")
			if tt.page != strings.HasPrefix(kind, "text/html") || !tt.page && answer.Body.String() != "streamkeeper v1.2.3\n" {
				t.Errorf("Accept %q: %s %.40q", tt.accept, kind, answer.Body)
			}
		}
	}
}

func TestHealthSaysWhy(t *testing.T) {
	tests := []struct {
		name   string
		change func(*Status)
		code   int
		check  Check
	}{
		{"all is well", func(*Status) {}, 200, Check{"job trim", true, "last good run 12s ago"}},
		{"Redis answers", func(*Status) {}, 200, Check{"redis", true, "answers"}},
		{"Redis does not answer", func(s *Status) { s.Redis.Error = "refused" }, 503, Check{"redis", false, "cannot be used: refused"}},
		{"Redis is a replica", func(s *Status) { s.Redis.Refused = "a replica" }, 503, Check{"redis", false, "answers, and nothing is removed: a replica"}},
		{"a job is overdue", func(s *Status) { s.Jobs[0].Overdue, s.Jobs[0].Error = true, "oops" }, 503,
			Check{"job trim", false, "overdue: last good run 12s ago; last error: oops"}},
		{"a job never went well", func(s *Status) { s.Jobs[0] = Job{Name: "trim", Overdue: true} }, 503,
			Check{"job trim", false, "overdue: not one good run yet"}},
		{"a job failed once", func(s *Status) { s.Jobs[0].Result, s.Jobs[0].Error = "error", "oops" }, 200,
			Check{"job trim", true, "last good run 12s ago"}},
		{"a job has not run yet", func(s *Status) { s.Jobs[0] = Job{Name: "trim", NextRun: now} }, 200,
			Check{"job trim", true, "first good run awaited"}},
		{"a job hangs", func(s *Status) { s.Jobs[0].Running, s.Jobs[0].Hangs = true, true }, 503, Check{"job trim", false, "hangs: running since 12s"}},
		{"a job runs", func(s *Status) { s.Jobs[0].Running = true }, 200, Check{"job trim", true, "running since 12s"}},
		{"a follower", func(s *Status) { s.Leader = Leader{Lease: "standby"}; s.Jobs[0] = Job{Name: "trim"} }, 200,
			Check{"job trim", true, "not run by this replica"}},
		{"stopping", func(s *Status) { s.Stopping = true }, 503, Check{"process", false, "is stopping"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := quiet()
			tt.change(&s)
			answer := ask(t, serverOf(s), http.MethodGet, "/health", "")
			var health Health
			if err := json.Unmarshal(answer.Body.Bytes(), &health); err != nil {
				t.Fatal(err)
			}
			if answer.Code != tt.code || health.OK != (tt.code == 200) {
				t.Errorf("status %d, ok %t; want %d", answer.Code, health.OK, tt.code)
			}
			var found bool
			for _, c := range health.Checks {
				found = found || c == tt.check
			}
			if !found {
				t.Errorf("checks %+v, want %+v among them", health.Checks, tt.check)
			}
		})
	}
}

func TestAttentionNamesWhatHealthDoesNot(t *testing.T) {
	s := quiet()
	if h := healthOf(s); len(h.Attention) != 0 {
		t.Errorf("attention %v, want none", h.Attention)
	}
	s.Jobs[0].Result = "error"
	s.NextCleanup.Brake = "300 of 400 sessions would expire"
	s.Leader = Leader{Lease: "unwritable", Error: "Redis is out of memory"}
	s.Streams.Largest = []Stream{{Entries: 10_100, Limit: 10_000}, {Entries: 13_000, Limit: 10_000}, {Entries: 13_000, Limit: 10_000, Protected: 1_500}, {Invalid: 1}, {Invalid: 2}, {Entries: 1e9}}
	want := []string{
		"The mass-deletion guard holds the clean-up back.", "The last run of trim failed.",
		"There is no lease, so several replicas may work at once: Redis is out of memory.",
		"2 streams have invalid messages.", "1 stream is well over the limit.",
	}
	if h := healthOf(s); !h.OK || fmt.Sprint(h.Attention) != fmt.Sprint(want) {
		t.Errorf("ok %t, attention\n%q, want\n%q", h.OK, h.Attention, want)
	}
	s = quiet()
	s.Leader = Leader{Lease: "standby", Error: "NOPERM"}
	if h := healthOf(s); !h.OK || fmt.Sprint(h.Attention) != "[The lease cannot be had, so no replica may work: NOPERM.]" {
		t.Errorf("ok %t, attention %q", h.OK, h.Attention)
	}
}

func TestStatusAsJSONHasNoNullAndNoZeroTime(t *testing.T) {
	answer := ask(t, serverOf(Status{Frame: Frame{Version: "v1", Time: now}}), http.MethodGet, "/status.json", "")
	if kind := answer.Header().Get("Content-Type"); kind != "application/json" {
		t.Errorf("content type %q", kind)
	}
	text := answer.Body.String()
	for _, bad := range []string{"null", "0001-01-01"} {
		if strings.Contains(text, bad) {
			t.Errorf("the status holds %s:\n%s", bad, text)
		}
	}
	var back Status
	if err := json.Unmarshal(answer.Body.Bytes(), &back); err != nil || !back.Health.OK || !back.Time.Equal(now) {
		t.Errorf("read back as %+v, %v", back, err)
	}
}

func TestOnlyReadingIsAnswered(t *testing.T) {
	s := serverOf(quiet())
	for _, path := range []string{"/", "/health", "/status.json", "/metrics", "/style.css", "/page.js", "/icon.svg", "/streams/a"} {
		get := ask(t, s, http.MethodGet, path, "")
		if get.Code != http.StatusOK || get.Body.Len() == 0 {
			t.Errorf("GET %s: status %d, %d bytes", path, get.Code, get.Body.Len())
		}
		for _, method := range []string{http.MethodPost, http.MethodPut, http.MethodDelete, http.MethodPatch, http.MethodOptions, http.MethodTrace} {
			answer := ask(t, s, method, path, "")
			if answer.Code != http.StatusMethodNotAllowed || answer.Header().Get("Allow") != "GET, HEAD" {
				t.Errorf("%s %s: status %d, Allow %q", method, path, answer.Code, answer.Header().Get("Allow"))
			}
		}
	}
	for _, path := range []string{"/nothing", "/assets/page.gohtml", "/page.gohtml", "/../go.mod", "/health/"} {
		if answer := ask(t, s, http.MethodGet, path, browser); answer.Code == http.StatusOK {
			t.Errorf("GET %s: status 200", path)
		}
	}
}

func TestEveryAnswerIsGuarded(t *testing.T) {
	s := serverOf(quiet())
	for _, path := range []string{"/", "/health", "/style.css", "/nothing"} {
		header := ask(t, s, http.MethodGet, path, browser).Header()
		policy := header.Get("Content-Security-Policy")
		if !strings.Contains(policy, "default-src 'none'") || strings.Contains(policy, "unsafe") {
			t.Errorf("%s: policy %q", path, policy)
		}
		for name, want := range map[string]string{"X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY", "Referrer-Policy": "no-referrer"} {
			if got := header.Get(name); got != want {
				t.Errorf("%s: %s is %q, want %q", path, name, got, want)
			}
		}
	}
}

func TestAssetsAreAskedForAgainByTheirTag(t *testing.T) {
	s := serverOf(quiet())
	tag := ask(t, s, http.MethodGet, "/style.css", "").Header().Get("ETag")
	request := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/style.css", http.NoBody)
	request.Header.Set("If-None-Match", tag)
	answer := httptest.NewRecorder()
	s.Handler().ServeHTTP(answer, request)
	if answer.Code != http.StatusNotModified {
		t.Errorf("status %d for tag %s, want 304", answer.Code, tag)
	}
}

// serve runs a server on a free port until the test or stop ends it.
func serve(t *testing.T, s *Server) (address string, stop func() error) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	listener, err := Listen(ctx, "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(ctx, listener) }()
	stop = func() error {
		cancel()
		return <-ended
	}
	return listener.Addr().String(), stop
}

func TestARequestUnderWayIsAnsweredBeforeTheServerEnds(t *testing.T) {
	arrived, goOn := make(chan struct{}), make(chan struct{})
	s := New(Options{Status: func(context.Context) Status {
		close(arrived)
		<-goOn
		return quiet()
	}})
	address, stop := serve(t, s)
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	code := make(chan int, 1)
	go func() {
		answer, err := client.Get("http://" + address + "/health")
		if err != nil {
			t.Error(err)
			code <- 0
			return
		}
		_ = answer.Body.Close()
		code <- answer.StatusCode
	}()
	<-arrived
	ended := make(chan error, 1)
	go func() { ended <- stop() }()
	// Nobody can connect any more once the listener is closed.
	for {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			break
		}
		_ = conn.Close()
	}
	close(goOn)
	if got := <-code; got != http.StatusOK {
		t.Errorf("status %d", got)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestLargeHeadersAreRefused(t *testing.T) {
	address, stop := serve(t, serverOf(quiet()))
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	go func() { // it hangs up before it has read all
		_, _ = fmt.Fprintf(conn, "GET / HTTP/1.1\r\nHost: x\r\nX-Large: %s\r\n\r\n", strings.Repeat("x", 64<<10))
	}()
	answer, _ := io.ReadAll(conn)
	if !strings.HasPrefix(string(answer), "HTTP/1.1 431") {
		t.Errorf("answer %.40q", answer)
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
}

func TestAnAddressThatIsTakenIsAnError(t *testing.T) {
	address, stop := serve(t, serverOf(quiet()))
	if listener, err := Listen(t.Context(), address); err == nil {
		_ = listener.Close()
		t.Error("listening twice on one address did not fail")
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
}
