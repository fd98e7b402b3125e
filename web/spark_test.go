package web

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
)

func TestAHistoryIsALineAndBars(t *testing.T) {
	for _, c := range []struct {
		name    string
		history *History
		want    *spark
	}{
		{"nothing was read", nil, nil},
		{"one reading is no line", &History{[]int64{5}, []int64{0}}, nil},
		{"an empty stream lies on the ground", &History{[]int64{0, 0}, []int64{0, 0}},
			&spark{"M0 16h1", "", 1, "0 to 0, 0 removed"}},
		{"it grows, is trimmed, and grows", &History{[]int64{500, 1000, 750}, []int64{0, 0, 1250}},
			&spark{"M0 8l1-8l1 4", "M0 16v-16h2v16", 2, "500 to 1 000, 1 250 removed"}},
		{"a little that was removed is seen, too", &History{[]int64{10, 10, 10, 10}, []int64{5, 1, 1, 1000}},
			&spark{"M0 0h3", "M0 16v-1h2v-15h1v16", 3, "10 to 10, 1 002 removed"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := newSpark(c.history)
			if (got == nil) != (c.want == nil) || got != nil && *got != *c.want {
				t.Errorf("%+v, want %+v", got, c.want)
			}
		})
	}
}

func TestThePageAndTheStatusHaveTheHistory(t *testing.T) {
	s := quiet()
	s.Streams = streamsNamed("rocket", "new")
	s.Streams.Largest[0].History = &History{Entries: []int64{10, 20}, Removed: []int64{0, 3}}
	page := pageOf(t, s, "")
	wantIn(t, page, "<title>10 to 20, 3 removed</title>", `<path class="gone" d="M0 16v-16h1v16"/>`, `<path d="M0 8l1-8"/>`)
	if n := strings.Count(page, `<title>10 to 20`); n != 1 {
		t.Errorf("%d lines, want one", n)
	}
	s.Errors = []Error{{Source: "[\n1,\n2]", Text: "[ 1, 2 ]"}}
	text := ask(t, serverOf(s), http.MethodGet, "/status.json", "").Body.String()
	wantIn(t, text, `"entries": [10,20],`, `"removed": [0,3]`)
	var back Status
	if err := json.Unmarshal([]byte(text), &back); err != nil || back.Errors[0].Source != s.Errors[0].Source || back.Errors[0].Text != s.Errors[0].Text {
		t.Errorf("it reads back as %+v, %v", back.Errors, err)
	}
}
