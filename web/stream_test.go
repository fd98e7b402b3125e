package web

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/streamkeeper/streamkeeper/internal/escape"
)

var oddNames = []string{
	"", ".", "..", "...", "/", "//", "a/b", "../../etc/passwd", "%", "%2f", "%2e%2e", "a b", "a+b", "a?b#c", "\\", `a\b`, `\x2f`, "\u202eevil", "\xff\xfe", "\x00", "é", "车",
	"\u200b", "a&b=c", `"><script>alert(1)</script>`, `' onmouseover='alert(1)`, "http://x/", "javascript:alert(1)", ";", "a:b", "\n", " ", "\u2028",
}

// asBrowsers is where a browser at the root of a server goes by a link.
func asBrowsers(t testing.TB, link string) *url.URL {
	t.Helper()
	base := &url.URL{Scheme: "http", Host: "h", Path: "/below/it/"}
	to, err := base.Parse(link)
	if err != nil {
		t.Fatalf("the link %q: %v", link, err)
	}
	return to
}

func TestAnyNameHasAPage(t *testing.T) {
	for _, name := range oddNames {
		var got []string
		s := New(Options{Status: func(context.Context) Status { return quiet() }, Stream: func(_ context.Context, name string) StreamPage {
			got = append(got, name)
			return StreamPage{Frame: quiet().Frame, Name: escape.Name(name), Known: true}
		}})
		to := asBrowsers(t, linkOf(escape.Name(name)))
		path, found := strings.CutPrefix(to.EscapedPath(), "/below/it")
		if !found || to.RawQuery != "" || to.Fragment != "" || to.Host != "h" {
			t.Errorf("%q: the link leads to %s", name, to)
			continue
		}
		answer := ask(t, s, http.MethodGet, path, browser)
		if answer.Code != http.StatusOK || len(got) != 1 || got[0] != name {
			t.Errorf("%q at %s: status %d, asked for %q", name, path, answer.Code, got)
		}
		page := answer.Body.String()
		for _, bad := range []string{"<script>alert", "onmouseover='", "\u202e", "\x00", "\xff"} {
			if strings.Contains(page, bad) {
				t.Errorf("%q: the page holds %q", name, bad)
			}
		}
		wantIn(t, page, "</html>", `href="../style.css"`)
	}
}

func FuzzLinksToStreams(f *testing.F) {
	for _, name := range oddNames {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		link := linkOf(escape.Name(name))
		if link == "" {
			return
		}
		path, found := strings.CutPrefix(asBrowsers(t, link).EscapedPath(), "/below/it/"+streamsPath)
		got, plain, err := nameOf(path)
		if !found || err != nil || !plain || got != name {
			t.Errorf("%q by %s is %q, plain %t, %v", name, link, got, plain, err)
		}
		if cut := shown(escape.Name(name)); !utf8.ValidString(cut) {
			t.Errorf("%q is shown as %q", name, cut)
		}
	})
}

func TestNamesThatWereTypedAreFoundOrRefused(t *testing.T) {
	s := serverOf(quiet())
	for path, location := range map[string]string{
		"/streams/a/b":       "../../streams/a%5Cx2fb",
		"/streams/a/b/c%20d": "../../../streams/a%5Cx2fb%5Cx2fc%20d",
	} {
		answer := ask(t, s, http.MethodGet, path, browser)
		if got := answer.Header().Get("Location"); answer.Code != http.StatusFound || got != location {
			t.Errorf("%s: status %d to %s", path, answer.Code, got)
		}
		if to, err := (&url.URL{Path: path}).Parse(location); err != nil || strings.Count(to.EscapedPath(), "/") != 2 {
			t.Errorf("%s leads to %s, %v", path, to, err)
		}
	}
	wantIn(t, ask(t, s, http.MethodGet, "/streams/a%2Fb", browser).Body.String(), "<bdi>a/b</bdi>")
	wantIn(t, ask(t, s, http.MethodGet, "/streams/a%FFb", browser).Body.String(), `<bdi>a\xffb</bdi>`)
	if answer := ask(t, s, http.MethodGet, `/streams/a%5Cq`, browser); answer.Code != http.StatusBadRequest || !strings.Contains(answer.Body.String(), `a backslash must be`) {
		t.Errorf("status %d: %s", answer.Code, answer.Body)
	}
}

// examplePage is all that can be said of a stream.
func examplePage() StreamPage {
	p := StreamPage{
		Frame: quiet().Frame, Name: "car 7", Known: true, Read: now, Leader: Leader{Leading: true, Name: "pod-1/1"},
		Figures: &Stream{Name: "car 7", Entries: 10_000, Limit: 10_000, Bytes: 3 << 30, LimitBytes: 4 << 30},
		Facts: []Fact{{"policy", "keep the newest 10 000 entries (the global settings)"}, {"holds", "10 000 entries in 100 macro nodes, 3.0 GiB"},
			{"next trim", "nothing: 2 000 entries over the limit are protected"}, {"protected", `2 000 entries over a limit: consumer group "storage" still needs 2 000`}},
		Sessions: []string{"run 7 (object): live, updated 3s ago"},
		History:  []string{"2026-03-13 10:00:00 restore: a live session names it, by pod-1/1"},
		Trims:    []Trim{{now.Truncate(time.Hour), 4711, 1 << 20, "1-1 → 2-2, by length, by pod-1/1"}},
	}
	for i := range 300 {
		minute := now.Truncate(time.Minute).Add(time.Duration(i-300) * time.Minute)
		p.Points = append(p.Points, Point{minute, int64(9000 + i*11%1000), int64(2<<30 + i<<20), int64(i % 60 / 59 * 500)})
	}
	return p
}

func streamPage(t *testing.T, p StreamPage, accept string) *httptest.ResponseRecorder {
	t.Helper()
	return ask(t, New(Options{Status: func(context.Context) Status { return quiet() }, Stream: func(context.Context, string) StreamPage { return p }}), http.MethodGet, "/streams/x", accept)
}

func TestThePageOfAStreamSaysWhatExplainSays(t *testing.T) {
	page := streamPage(t, examplePage(), browser).Body.String()
	wantIn(t, page, "<bdi>car 7</bdi>", "<dt>next trim</dt><dd>nothing: 2 000 entries over the limit are protected</dd>", "consumer group &#34;storage&#34;", "run 7 (object): live",
		"2026-03-13 10:00:00 restore", "4 711", "~1.0 MiB", "2026-03-14 15h", "streamkeeper explain &#39;car 7&#39;",
		"<b>Length</b> 9 000 to 9 992 since 10:09 UTC", "limit 10 000; ", "<b>Memory</b> 2.0 GiB to 2.3 GiB", `class="limit"`, `class="removed"`)
	if len(page) > 60<<10 || strings.Contains(page, " style=") {
		t.Errorf("%d bytes", len(page))
	}
	for _, tag := range regexp.MustCompile(`<(?:table|thead|tbody|tr|th|td)\b[^>]*>`).FindAllString(page, -1) {
		if !strings.Contains(tag, " role=") {
			t.Errorf("%s lacks its role", tag)
		}
	}
	text := streamPage(t, examplePage(), "")
	if kind := text.Header().Get("Content-Type"); !strings.HasPrefix(kind, "text/plain") {
		t.Errorf("without a browser: %s", kind)
	}
	wantIn(t, text.Body.String(), "stream     car 7\n", "next trim  nothing: 2 000", "session    run 7", "history    2026-03-13")
}

func TestThePageOfAStreamSaysWhatIsNotThere(t *testing.T) {
	follower := examplePage()
	follower.Points, follower.Figures, follower.Leader = nil, nil, Leader{Lease: "standby", Name: "pod-2/1"}
	small := examplePage()
	small.Points, small.Figures, small.Sessions, small.History, small.Trims = nil, nil, nil, nil, nil
	young := examplePage()
	young.Points = young.Points[:1]
	for _, c := range []struct {
		name string
		page StreamPage
		code int
		want []string
	}{
		{"a follower", follower, 200, []string{"The leader, <bdi>pod-2/1</bdi>, has the picture"}},
		{"a small stream", small, 200, []string{"METRICS_STREAMS", "None is known that names it", "Nothing is remembered"}},
		{"one reading", young, 200, []string{"The picture begins with the second minute"}},
		{"nobody knows it", StreamPage{Name: `b\xff`, Others: true}, 404, []string{"There is no such stream", `href="../?q=b%5Cxff#streams"`, "STREAMS_EXCLUDE"}},
		{"Redis is away", StreamPage{Name: "a", Trouble: "connection refused"}, 503, []string{"It could not be asked for: connection refused", "The last six hours"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			answer := streamPage(t, c.page, browser)
			if answer.Code != c.code {
				t.Errorf("status %d", answer.Code)
			}
			wantIn(t, answer.Body.String(), c.want...)
		})
	}
}

func TestAPictureShowsGapsLimitsAndWhatWent(t *testing.T) {
	end := now.Truncate(time.Minute)
	minutes := func(ago ...int) (points []Point) {
		for i, n := range ago {
			points = append(points, Point{end.Add(-time.Duration(n) * time.Minute), int64(100 * (i + 1)), 0, int64(10 * i)})
		}
		return points
	}
	for _, c := range []struct {
		name                          string
		points                        []Point
		limit                         int64
		line, lineOfLimit, barsOfGone string
	}{
		{"even", minutes(3, 2, 1, 0), 0, "M357 75L358 50L359 25L360 0", "", "M358 100v-11M359 100v-22M360 100v-33"},
		{"a gap", minutes(30, 29, 1, 0), 0, "M330 75L331 50M359 25L360 0", "", "M331 100v-11M359 100v-22M360 100v-33"},
		{"a reading in ten minutes", minutes(30, 20, 10), 0, "M330 67L340 33L350 0", "", "M340 100v-16M350 100v-33"},
		{"too old, and of the future", minutes(400, 1, 0, -5), 0, "M359 33L360 0", "", "M359 100v-11M360 100v-22"},
		{"a limit above", minutes(1, 0), 400, "M359 75L360 50", "M0 0h360", "M360 100v-33"},
		{"a limit far above", minutes(1, 0), 10_000, "M359 50L360 0", "", "M360 100v-33"},
		{"a limit below", minutes(1, 0), 100, "M359 50L360 0", "M0 50h360", "M360 100v-33"},
	} {
		t.Run(c.name, func(t *testing.T) {
			all := picturesOf(now, c.points, &Stream{Limit: c.limit})
			if len(all) != 1 {
				t.Fatalf("%d pictures; the memory is not known", len(all))
			}
			if p := all[0]; p.Line != c.line || p.Limit != c.lineOfLimit || p.Removed != c.barsOfGone {
				t.Errorf("%+v", p)
			}
		})
	}
	if all := picturesOf(now, []Point{{end.Add(-time.Minute), 0, 0, 0}, {end, 0, 0, 0}}, new(Stream)); len(all) != 2 || all[0].Line != "M359 100L360 100" {
		t.Errorf("an empty stream: %+v", all)
	}
}
