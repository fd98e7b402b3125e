package web

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// browse loads a page in a headless Chromium, lets its clock run for a while,
// and returns what is shown then, and what went to the console.
func browse(t *testing.T, url string, forTime time.Duration) (dom, console string) {
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
	command := exec.CommandContext(ctx, chromium, "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking",
		"--disable-sync", "--no-first-run", "--user-data-dir="+t.TempDir(), "--enable-logging=stderr",
		fmt.Sprintf("--virtual-time-budget=%d", forTime.Milliseconds()), "--dump-dom", url)
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
	if !strings.Contains(dom, `aria-sort="ascending"`) {
		t.Error("the order of the table was lost")
	}
	if strings.Contains(dom, "pwned</title>") || !strings.Contains(dom, "&lt;script&gt;document.title") {
		t.Error("a name was run")
	}
}
