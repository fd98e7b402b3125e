package web

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// browse loads a page in a headless Chromium, lets its clock run for a while,
// and returns what is shown then, and what went to the console.
func browse(t *testing.T, url string, forTime time.Duration, more ...string) (dom, console string) {
	t.Helper()
	var chromium string
	for _, name := range []string{"chromium", "google-chrome", "chromium-browser"} {
		if path, err := exec.LookPath(name); err == nil {
			chromium = path
			break
		}
	}
	if chromium == "" {
		if os.Getenv("CI") != "" {
			t.Fatal("no Chromium here: install the package chromium")
		}
		t.Skip("no Chromium here: install the package chromium")
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	args := append([]string{
		"--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking",
		"--disable-sync", "--no-first-run", "--user-data-dir=" + t.TempDir(), "--enable-logging=stderr",
		fmt.Sprintf("--virtual-time-budget=%d", forTime.Milliseconds()),
	}, more...)
	command := exec.CommandContext(ctx, chromium, append(args, "--dump-dom", url)...)
	command.WaitDelay = 5 * time.Second
	var log strings.Builder
	command.Stderr = &log
	out, err := command.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, log.String())
	}
	for line := range strings.Lines(log.String()) {
		if strings.Contains(line, "CONSOLE") {
			console += line
		}
	}
	return string(out), console
}

func TestABrowserRefreshesThePageAndRunsNoNames(t *testing.T) {
	var asked atomic.Int64
	s := New(Options{Status: func(context.Context) Status {
		status := quiet()
		status.Streams = streamsNamed(`<script>document.title="pwned"</script>`, `<img src=x onerror='document.title="pwned"'>`)
		status.Streams.Total = 100 + asked.Add(1)
		status.Redis.Memory = Memory{Read: true, Used: 3 << 30, Max: 4 << 30, GrowthSeconds: 3600, Full: new(7200.0)}
		return status
	}})
	address, stop := serve(t, s)
	dom, console := browse(t, "http://"+address+"/?sort=name", 25*time.Second)
	if err := stop(); err != nil {
		t.Error(err)
	}
	if console != "" {
		t.Errorf("the browser complains:\n%s", console)
	}
	if n := asked.Load(); n < 2 || !strings.Contains(dom, fmt.Sprintf("<dd>%d</dd>", 100+n)) {
		t.Errorf("the page was asked for %d times, and does not show the last answer", n)
	}
	for _, text := range []string{"<dd>3.0 GiB, 75 %</dd>", "full in about 2h at the growth of the last hour", `class="memory"`} {
		if !strings.Contains(dom, text) {
			t.Errorf("the page does not show %q", text)
		}
	}
	if !strings.Contains(dom, `aria-sort="ascending"`) {
		t.Error("the order of the table was lost")
	}
	if strings.Contains(dom, "pwned</title>") || !strings.Contains(dom, "&lt;script&gt;document.title") {
		t.Error("a name was run")
	}
}

// script has the page of a server run a script of the test.
func script(handler http.Handler, text string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/test.js" {
			w.Header().Set("Content-Type", "text/javascript")
			_, _ = w.Write([]byte(text))
			return
		}
		r.Header.Del("Accept-Encoding")
		answer := httptest.NewRecorder()
		handler.ServeHTTP(answer, r)
		maps.Copy(w.Header(), answer.Header())
		w.Header().Del("Content-Length")
		w.WriteHeader(answer.Code)
		_, _ = w.Write([]byte(strings.Replace(answer.Body.String(), "</head>", `<script src="test.js"></script></head>`, 1)))
	})
}

func TestATabWhoseServerIsGoneDoesNotSayThatAllIsWell(t *testing.T) {
	for name, text := range map[string]string{
		"somebody looks":     "",
		"nobody looks":       `Object.defineProperty(document, "hidden", { get: () => true });`,
		"a name is selected": `addEventListener("load", () => getSelection().selectAllChildren(document.querySelector("h1")));`,
	} {
		t.Run(name, func(t *testing.T) {
			handler := script(New(Options{Status: func(context.Context) Status { return quiet() }}).Handler(), text)
			var pages atomic.Int64
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/" && pages.Add(1) > 1 {
					panic(http.ErrAbortHandler)
				}
				handler.ServeHTTP(w, r)
			}))
			defer server.Close()
			dom, _ := browse(t, server.URL+"/", 25*time.Second)
			if !strings.Contains(dom, "<title>? streamkeeper") || strings.Contains(dom, `id="stale" role="status" hidden`) {
				t.Errorf("the page is\n%.800s", dom)
			}
		})
	}
}

// measure says which links are smaller than a finger, and which tables have lost
// their headings.
const measure = `addEventListener("load", () => {
  const small = [...document.querySelectorAll("a, summary")].filter((e) => {
    const box = e.getBoundingClientRect();
    return box.width < 24 || box.height < 24;
  });
  const mute = [...document.querySelectorAll("thead")].filter((e) => getComputedStyle(e).display === "none");
  document.title = "small: " + JSON.stringify(small.map((e) => e.textContent)) + " mute: " + mute.length;
});`

func TestLinksAreLargeEnoughForFingers(t *testing.T) {
	status := quiet()
	status.Streams = streamsNamed("a", "b")
	status.NextCleanup = NextCleanup{Decided: now, Expire: 1, Examples: []Action{{"expire", "x", "a", "old"}}}
	server := httptest.NewServer(script(serverOf(status).Handler(), measure))
	defer server.Close()
	for _, size := range []string{"390,844", "1280,900"} {
		dom, _ := browse(t, server.URL+"/", 3*time.Second, "--window-size="+size)
		if !strings.Contains(dom, "<title>small: [] mute: 0</title>") {
			_, title, _ := strings.Cut(dom, "<title>")
			t.Errorf("at %s: %.300s", size, title)
		}
	}
}
