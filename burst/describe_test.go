package burst

import (
	"errors"
	"testing"
	"unicode/utf8"
)

func TestASessionJSONIsDescribed(t *testing.T) {
	for text, want := range map[string]Description{
		`{"identity":"a","state":"open"}`:           {"a", "open", `"open"`},
		`{"identity":"\u00e4 b","state":4}`:         {"ä b", "closed", "4"},
		` {"state":"Failed"}`:                       {"", "failed", `"Failed"`},
		`{"identity":7,"state":"done"}`:             {"", "", `"done"`},
		`{}`:                                        {"", "", "no state"},
		`{"identity":"a","state":0,"more":{"a":1}}`: {"a", "unknown", "0"},
	} {
		if got, err := ReadSession([]byte(text)); err != nil || got != want {
			t.Errorf("%s: %+v, %v; want %+v", text, got, err, want)
		}
	}
	for _, text := range []string{"", "[]", `"a"`, "null", "{", `{"a":NaN}`, "{\"identity\":\"\xff\"}"} {
		if got, err := ReadSession([]byte(text)); !errors.Is(err, ErrSessionJSON) {
			t.Errorf("%q: %+v, %v", text, got, err)
		}
	}
}

func FuzzASessionJSONIsDescribedAsItIsJudged(f *testing.F) {
	f.Add([]byte(`{"identity":"a","state":"open"}`))
	f.Add([]byte(`{"identity":"a","state":44}x`))
	f.Fuzz(func(t *testing.T, text []byte) {
		d, err := ReadSession(text)
		if valid := IsSessionJSON(text); valid && (err != nil || d.State == "") {
			t.Errorf("%q is a Session JSON, and is described as %+v, %v", text, d, err)
		}
		if err == nil && Closed(text) != d.Closed() {
			t.Errorf("%q: closed %v, and described as %+v", text, Closed(text), d)
		}
		if !utf8.ValidString(d.Identity) {
			t.Errorf("identity %q of %q", d.Identity, text)
		}
	})
}
