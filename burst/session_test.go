package burst

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestSessionJSON(t *testing.T) {
	const (
		fine       = Reasons(0)
		noIdentity = Reasons(1 << SessionIdentityMissing)
		noState    = Reasons(1 << SessionStateUnknown)
		notJSON    = Reasons(1 << SessionNotJSON)
	)
	for _, test := range []struct {
		name, json string
		want       Reasons
	}{
		{"is fine", `{"identity": "a", "state": "open"}`, fine},
		{"is fine with white space", " \t\r\n{ \"identity\" : \"\" ,\n\"state\":44 } ", fine},
		{"is fine with much else", `{"identity": "a", "details": {"a": [1, -0.5e+7, {}, [], null, true, false, "\u00e9\n\"é"], "state": 7}, "state": "closed", "laps": null}`, fine},
		{"may spell its keys with escapes", `{"\u0069dentity": "a", "st\u0061te": "\u006fpen"}`, fine},
		{"may have a state in any letter case", `{"identity": "a", "state": "Truncated"}`, fine},
		{"may have its last state count", `{"identity": "a", "state": "odd", "state": "failed"}`, fine},
		{"lacks an identity", `{"state": "open"}`, noIdentity},
		{"lacks an identity of its own", `{"details": {"identity": "a"}, "state": "open"}`, noIdentity},
		{"lacks an identity that is a string", `{"identity": 5, "state": "open"}`, noIdentity},
		{"lacks an identity in this letter case", `{"Identity": "a", "state": "open"}`, noIdentity},
		{"has an identity of null", `{"identity": null, "state": "open"}`, noIdentity},
		{"lacks a state", `{"identity": "a"}`, noState},
		{"has a state that nobody knows", `{"identity": "a", "state": "frobnicated"}`, noState},
		{"has a state that is almost one", `{"identity": "a", "state": "opem"}`, noState},
		{"has a state that is one with odd bits", "{\"identity\": \"a\", \"state\": \"\u00efpen\"}", noState},
		{"has a state of an unknown number", `{"identity": "a", "state": 3}`, noState},
		{"has a state of a number as a string", `{"identity": "a", "state": "2"}`, noState},
		{"has a state of null", `{"identity": "a", "state": null}`, noState},
		{"is an empty object", `{}`, noIdentity | noState},
		{"is an array", `[{"identity": "a", "state": "open"}]`, noIdentity | noState},
		{"is a number", `12`, noIdentity | noState},
		{"is empty", ``, notJSON},
		{"is white space", `  `, notJSON},
		{"is cut off", `{"identity": "a", "state": "open"`, notJSON},
		{"has something behind it", `{"identity": "a", "state": "open"}}`, notJSON},
		{"has a comma too much", `{"identity": "a", "state": "open",}`, notJSON},
		{"has a key without quotes", `{identity: "a"}`, notJSON},
		{"has a string in single quotes", `{"identity": 'a'}`, notJSON},
		{"has a line break in a string", "{\"identity\": \"a long enough text\n\"}", notJSON},
		{"has an escape that is none", `{"identity": "\x41"}`, notJSON},
		{"has a number that is none", `{"identity": "a", "state": 02}`, notJSON},
		{"has NaN", `{"identity": "a", "state": NaN}`, notJSON},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := checkSessionJSON([]byte(test.json)); got != test.want {
				t.Errorf("%q, want %q", got, test.want)
			}
			if valid := json.Valid([]byte(test.json)); valid != (test.want != notJSON) {
				t.Errorf("encoding/json says %t", valid)
			}
		})
	}
}

func TestEveryStateOfTheSessionModelIsKnown(t *testing.T) {
	for _, state := range []string{
		`"unknown"`, `"waiting"`, `"open"`, `"closed"`, `"truncated"`, `"failed"`, `"abandoned"`, "0", "1", "2", "4", "12", "28", "44",
	} {
		for _, state := range []string{state, strings.ToUpper(state)} {
			if got := checkSessionJSON([]byte(`{"identity": "a", "state": ` + state + `}`)); got != 0 {
				t.Errorf("%s: %q", state, got)
			}
		}
	}
}

func TestJSONIsNestedAsDeepAsEncodingJSONHasIt(t *testing.T) {
	for _, depth := range []int{maxNesting - 1, maxNesting, maxNesting + 1} {
		for _, pair := range []string{"[]", "{}"} {
			open, inner := pair[:1], ""
			if open == "{" {
				open, inner = `{"a":`, "1"
			}
			doc := []byte(strings.Repeat(open, depth) + inner + strings.Repeat(pair[1:], depth))
			if got, want := checkSessionJSON(doc).Has(SessionNotJSON), !json.Valid(doc); got != want {
				t.Errorf("%d times %s: rejected %t, by encoding/json %t", depth, pair, got, want)
			}
		}
	}
}

func FuzzSessionJSON(f *testing.F) {
	f.Add([]byte(goodSession))
	f.Add([]byte(`{"\u0073tate": 44, "a": [1.5e-3, "\\\" é", {"b": null}], "identity": "x"} `))
	f.Add([]byte(`[-0, 10e+5, true, false]`))
	f.Fuzz(func(t *testing.T, doc []byte) {
		if !utf8.Valid(doc) {
			return // found before
		}
		got := checkSessionJSON(doc)
		if rejected := !json.Valid(doc); got.Has(SessionNotJSON) != rejected {
			t.Fatalf("%q, rejected by encoding/json: %t", got, rejected)
		}
		var members map[string]any
		if got.Has(SessionNotJSON) || json.Unmarshal(doc, &members) != nil {
			return
		}
		if _, ok := members["identity"].(string); ok == got.Has(SessionIdentityMissing) {
			t.Errorf("%q, identity %v", got, members["identity"])
		}
		state, _ := json.Marshal(members["state"])
		if known := knownState(state); known == got.Has(SessionStateUnknown) && !strings.ContainsAny(string(state), "0123456789<>&") {
			t.Errorf("%q, state %s", got, state)
		}
	})
}
