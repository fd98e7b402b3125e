package web

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"regexp"
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
	t.Parallel()
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
		_, _ = w.Write([]byte(strings.Replace(answer.Body.String(), "</head>", `<script src="/test.js"></script></head>`, 1)))
	})
}

func TestATabWhoseServerIsGoneDoesNotSayThatAllIsWell(t *testing.T) {
	t.Parallel()
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

// measure says which links are smaller than a finger, which tables have lost their
// headings, whether the page is wider than the screen, and which theme it has.
const measure = `addEventListener("load", () => {
  const small = [...document.querySelectorAll("a, summary, button, input:not([type=hidden])")].filter((e) => {
    const box = e.getBoundingClientRect();
    return box.width < 24 || box.height < 24;
  });
  const mute = [...document.querySelectorAll("thead")].filter((e) => getComputedStyle(e).display === "none");
  const wide = document.documentElement.scrollWidth > innerWidth;
  const theme = getComputedStyle(document.body).backgroundColor;
  document.title = "small: " + JSON.stringify(small.map((e) => e.textContent)) + " mute: " + mute.length + " wide: " + wide + " theme: " + theme;
});`

// pages are servers with a page that has everything.
func pages(t *testing.T) http.Handler {
	t.Helper()
	status := fiveThousand()
	status.Redis.Memory = Memory{Read: true, Used: 3 << 30, Max: 4 << 30, GrowthSeconds: 3600, Full: new(7200.0)}
	status.Pauses = []Pause{{ID: "0a1b2c3d", What: "trim of rocket-*", Since: now, Until: now.Add(time.Hour), Reason: "test day"}}
	status.Doctor = Doctor{Examined: now, Findings: []Finding{{Check: "maxmemory", Severity: "warning", Text: "maxmemory is not set", Remedy: "set it", Examples: []string{strings.Repeat("x", 200)}}}}
	page := examplePage()
	page.Name = strings.Repeat("a very long name ", 30)
	page.Facts = append(page.Facts, Fact{"policy", strings.Repeat("x", 300)})
	return New(Options{Status: func(context.Context) Status { return status }, Stream: func(context.Context, string) StreamPage { return page }}).Handler()
}

func TestPagesFitScreensAndFingersInBothThemes(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(script(pages(t), measure))
	defer server.Close()
	for _, path := range []string{"/", "/?q=bench", "/streams/car%207"} {
		for _, screen := range []struct{ size, scheme, theme string }{{"390,844", "0", "rgb(18, 22, 26)"}, {"1280,900", "1", "rgb(246, 247, 248)"}} {
			dom, console := browse(t, server.URL+path, 3*time.Second, "--window-size="+screen.size, "--blink-settings=preferredColorScheme="+screen.scheme)
			if !strings.Contains(dom, "<title>small: [] mute: 0 wide: false theme: "+screen.theme+"</title>") || console != "" {
				_, title, _ := strings.Cut(dom, "<title>")
				t.Errorf("%s at %s: %.400s\n%s", path, screen.size, title, console)
			}
		}
	}
}

// withoutScript takes the script out of pages: with none at all a browser has no way to
// say what it shows.
func withoutScript(handler http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Header.Del("Accept-Encoding")
		answer := httptest.NewRecorder()
		handler.ServeHTTP(answer, r)
		maps.Copy(w.Header(), answer.Header())
		w.WriteHeader(answer.Code)
		_, _ = w.Write(regexp.MustCompile(`<script[^>]*></script>`).ReplaceAll(answer.Body.Bytes(), nil))
	})
}

func TestPagesAreWholeWithoutTheirScript(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(withoutScript(pages(t)))
	defer server.Close()
	for path, wants := range map[string][]string{
		"/":                {`href="streams/`, `rel="next"`, "Last removals", `http-equiv="refresh"`, "<button>Search</button>"},
		"/streams/car%207": {`class="picture"`, "next trim", "What was removed", `http-equiv="refresh"`},
	} {
		dom, console := browse(t, server.URL+path, 3*time.Second)
		wantIn(t, dom, wants...)
		if console != "" || strings.Contains(dom, "<script") {
			t.Errorf("%s: %s", path, console)
		}
	}
}

// seek searches as a person does who is slow to write.
const seek = `addEventListener("load", () => {
  if (location.search.includes("q=")) return;
  const field = document.querySelector("input[type=search]");
  field.focus();
  field.value = "bench/000";
  setTimeout(() => document.querySelector("form button").click(), 15_000);
});`

func TestABrowserSearchesAndLosesNothingThatIsBeingWritten(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(script(pages(t), seek))
	defer server.Close()
	dom, console := browse(t, server.URL+"/?sort=name", 18*time.Second)
	if got := len(rows(dom)); got != 10 || console != "" {
		t.Errorf("%d streams are found\n%s", got, console)
	}
	wantIn(t, dom, `name="sort" value="name"`, `name="q" value="bench/000"`)
}
