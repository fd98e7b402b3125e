package registry

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestSplicingChangesNothingButTheDifference(t *testing.T) {
	const old, updated = `{"identity":"é\"\\","state":"open","n":1.50}`, `{"identity":"é\"\\","state":"abandoned","n":1.50}`
	for name, test := range map[string]struct{ value, want string }{
		"an object": {
			`{"a":1.0,"json":{"identity":"é\"\\","state":"open","n":1.50},"tEnd":"5" }`,
			`{"a":1.0,"json":{"identity":"é\"\\","state":"abandoned","n":1.50},"tEnd":"5" }`,
		},
		"a string": {
			`{ "json" : "{\"identity\":\"é\\\"\\\\\",\"state\":\"open\",\"n\":1.50}" }`,
			`{ "json" : "{\"identity\":\"é\\\"\\\\\",\"state\":\"abandoned\",\"n\":1.50}" }`,
		},
		"a string as .NET writes it": {
			`{"json":"{\u0022identity\u0022:\u0022\u00E9\\\u0022\\\\\u0022,\u0022state\u0022:\u0022open\u0022,\u0022n\u0022:1.50}"}`,
			`{"json":"{\u0022identity\u0022:\u0022\u00E9\\\u0022\\\\\u0022,\u0022state\u0022:\u0022abandoned\u0022,\u0022n\u0022:1.50}"}`,
		},
		"the last of two": {
			`{"json":{"state":"open"},"json":{"identity":"é\"\\","state":"open","n":1.50}}`,
			`{"json":{"state":"open"},"json":{"identity":"é\"\\","state":"abandoned","n":1.50}}`,
		},
		"an equal one beside it": {
			`{"copy":{"identity":"é\"\\","state":"open","n":1.50},"json":{"identity":"é\"\\","state":"open","n":1.50},"again":{"json":{"identity":"é\"\\","state":"open","n":1.50}}}`,
			`{"copy":{"identity":"é\"\\","state":"open","n":1.50},"json":{"identity":"é\"\\","state":"abandoned","n":1.50},"again":{"json":{"identity":"é\"\\","state":"open","n":1.50}}}`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			if got := entryJSON(test.value); got != old {
				t.Fatalf("the Session JSON is %s", got)
			}
			if got, ok := spliceJSON(test.value, old, updated); !ok || got != test.want {
				t.Errorf("%s, %v", got, ok)
			}
			if _, ok := spliceJSON(test.value, old+" ", updated); ok {
				t.Error("another Session JSON is replaced")
			}
		})
	}
	for _, value := range []string{``, `{}`, `[]`, `{"json":null}`, `{"json":{}`, `{"other":{"json":"x"}}`} {
		if got := entryJSON(value); got != "" {
			t.Errorf("%s holds %s", value, got)
		}
		if got, ok := spliceJSON(value, old, updated); ok {
			t.Errorf("%s becomes %s", value, got)
		}
	}
}

// FuzzSpliceJSON holds the edit in place against encoding/json: what another
// reader finds in the value is the new Session JSON, and all else as it was.
func FuzzSpliceJSON(f *testing.F) {
	f.Add(`{"json":"{\"state\":\"open\"}","lastUpdated":5}`, "open", "abandoned")
	f.Add(`{"json":{"state":2},"tStart":"1"}`, "2", "44")
	f.Add(`{"json":"\ud83c\udfce\u0022state\u0022:\u00e9","a":[1.0]}`, "state", "\"\\")
	f.Add("{\"json\":\"\xff\\n\xfe\"}", "\n", "x")
	f.Fuzz(func(t *testing.T, value, from, to string) {
		old := entryJSON(value)
		updated := strings.Replace(old, from, to, 1)
		got, ok := spliceJSON(value, old, updated)
		if !ok || old == "" {
			return
		}
		raw, _, _ := jsonMember(value)
		if raw[0] == '"' && entryJSON(got) != updated {
			t.Fatalf("%q holds %q, want %q", got, entryJSON(got), updated)
		}
		var before, after map[string]json.RawMessage
		if !utf8.ValidString(value) || json.Unmarshal([]byte(value), &before) != nil || raw[0] != '"' {
			return
		}
		if err := json.Unmarshal([]byte(got), &after); err != nil {
			t.Fatalf("%s: %v", got, err)
		}
		var text string
		if err := json.Unmarshal(after["json"], &text); err != nil || text != updated {
			t.Fatalf("another reader finds %q, want %q", text, updated)
		}
		delete(before, "json")
		delete(after, "json")
		for key, raw := range before {
			if string(after[key]) != string(raw) {
				t.Fatalf("%q is %s, and was %s", key, after[key], raw)
			}
		}
	})
}
