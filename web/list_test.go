package web

import (
	"fmt"
	"html"
	"regexp"
	"strings"
	"testing"
	"time"
)

// fiveThousand are 500 streams with all that can be said of one, and 4500 others.
func fiveThousand() Status {
	s := quiet()
	s.Streams = Streams{Read: now, Total: 5000, Others: 4500, OtherEntries: 4500 * 10, OtherBytes: 4500 << 10}
	for i := range 500 {
		coverage, idle := 86_399.0, float64(i)
		stream := Stream{
			Name: fmt.Sprintf("demo/car %04d · Practice 1", i), Entries: int64(9000 + i), Limit: 10_000, Bytes: 3 << 30, LimitBytes: 4 << 30,
			Estimated: true, Coverage: &coverage, Idle: &idle, Trimmed: now.Add(-time.Hour), Removed: 123_456, Inspected: now, Encoding: "frame", OK: 3,
			History: new(History),
		}
		for n := range 30 {
			stream.History.Entries = append(stream.History.Entries, int64(9000+n*37%997))
			stream.History.Removed = append(stream.History.Removed, int64(n%3*100))
		}
		if i%10 == 0 {
			stream.Warn, stream.Invalid = 1, 1
		}
		s.Streams.Largest = append(s.Streams.Largest, stream)
	}
	s.Streams.Named = func(visit func(name string, entries, bytes int64)) {
		for i := range 4500 {
			visit(fmt.Sprintf("bench/%04d", i), 10, 1024)
		}
	}
	s.NextCleanup = NextCleanup{Decided: now, Expire: 300, Brake: "300 of 409 sessions would expire", BrakeSince: now, BrakeUntil: now.Add(time.Hour)}
	for i := range 20 {
		s.NextCleanup.Examples = append(s.NextCleanup.Examples, Action{"expire", fmt.Sprintf("0f5c9a3e-7c1d-4a55-9d0e-%012d", i), s.Streams.Largest[i].Name, "not updated for 26h 3m (limit 24h)"})
	}
	s.Removals.Recorded = true
	for i := range 10 {
		s.Removals.Last = append(s.Removals.Last, Removal{Time: now, Action: "retire", Name: s.Streams.Largest[i].Name, Stream: true, Reason: "no session, last entry 26h ago (limit 24h)", Instance: "streamkeeper-7d9f8b6c5d-x2x4z/1"})
	}
	for i := range 10 {
		s.Errors = append(s.Errors, Error{Time: now, Source: "trim", Text: strings.Repeat("it broke ", 10), Count: i})
	}
	return s
}

func TestFiveThousandStreamsTakeSmallPages(t *testing.T) {
	s := fiveThousand()
	for _, query := range []string{"", "?sort=name&order=desc", "?page=2", "?page=100", "?page=99999", "?q=car", "?q=bench", "?show=invalid", "?show=over&q=a&sort=idle&page=-1"} {
		if page := pageOf(t, s, query); len(page) > 60<<10 {
			t.Errorf("%q: %d bytes", query, len(page))
		} else {
			t.Logf("%q: %d bytes", query, len(page))
		}
	}
}

func TestAllStreamsAreOnOneOfThePages(t *testing.T) {
	s := fiveThousand()
	// All with a row of their own, and some of the others; each page goes through all names.
	s.Streams.Total, s.Streams.Others = 650, 150
	s.Streams.Named = func(visit func(name string, entries, bytes int64)) {
		for i := range 150 {
			visit(fmt.Sprintf("bench/%04d", i), 10, 1024)
		}
	}
	seen, query, pages := make(map[string]int), "?sort=name", 0
	for query != "" {
		page := pageOf(t, s, query)
		for _, name := range rows(page) {
			seen[name]++
		}
		next := regexp.MustCompile(`<a href="([^"]*)" rel="next">`).FindStringSubmatch(page)
		if query = ""; next != nil {
			query = html.UnescapeString(strings.TrimSuffix(next[1], "#streams"))
		}
		if pages++; pages > 20 {
			t.Fatal("there is always another page")
		}
	}
	if len(seen) != 650 || pages != 13 {
		t.Errorf("%d streams on %d pages", len(seen), pages)
	}
	for name, n := range seen {
		if n != 1 {
			t.Errorf("%s comes %d times", name, n)
		}
	}
}

func TestAStreamIsFoundByAPartOfItsName(t *testing.T) {
	s := fiveThousand()
	page := pageOf(t, s, "?q=BENCH%2F0042&sort=length")
	if got := strings.Join(rows(page), " "); got != "bench/0042" {
		t.Errorf("found %s", got)
	}
	wantIn(t, page, `value="BENCH/0042"`, `<input type="hidden" name="sort" value="length">`, `href="?order=desc&amp;sort=length#streams">Show all`, `href="streams/bench%5Cx2f0042"`, "the rest is on its page")
	page = pageOf(t, s, "?q=nobody%20has%20%5Cxff")
	wantIn(t, page, "None of 5 000 streams is like that", `href="streams/nobody%20has%20%5Cxff"`)
	page = pageOf(t, s, "?q=%22%3E%3Cscript%3E"+strings.Repeat("%C3%BC", 500))
	if strings.Contains(page, "><script>") || strings.Contains(page, strings.Repeat("ü", longestSearch)) {
		t.Error("what is searched for is not escaped, or not cut")
	}
}

func TestAttentionLeadsToTheStreams(t *testing.T) {
	s := quiet()
	s.Streams = streamsNamed("a/b", "c", "d", "e", "f", "g", "h")
	for i := range s.Streams.Largest {
		s.Streams.Largest[i].Entries, s.Streams.Largest[i].Limit = 1000, 10
	}
	s.Streams.Largest[6].Invalid = 1
	page := pageOf(t, s, "")
	_, health, _ := strings.Cut(page, `aria-label="Health"`)
	health, _, _ = strings.Cut(health, "</section>")
	wantIn(t, health, `<a href="?show=over#streams">7 streams are well over the limit.</a> <a href="streams/a%5Cx2fb"><bdi>a/b</bdi></a>`, `<a href="?show=invalid#streams">1 stream has invalid messages.</a> <a href="streams/h">`)
	if strings.Contains(health, `"streams/g"`) {
		t.Error("more than five are named")
	}
	if got := strings.Join(rows(pageOf(t, s, "?show=invalid")), " "); got != "h" {
		t.Errorf("with invalid messages: %s", got)
	}
}
