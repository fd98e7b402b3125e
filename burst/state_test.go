package burst

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestOnlyTheStateOfASessionJSONChanges(t *testing.T) {
	for _, test := range []struct{ name, json, want string }{
		{"open", `{"identity":"a","state":"open"}`, `{"identity":"a","state":"abandoned"}`},
		{"waiting", `{"identity":"a","state":"waiting"}`, `{"identity":"a","state":"abandoned"}`},
		{"capitals", `{"state":"Open"}`, `{"state":"Abandoned"}`},
		{"upper case", `{"state":"WAITING"}`, `{"state":"ABANDONED"}`},
		{"open by number", `{"identity":"a","state":2}`, `{"identity":"a","state":44}`},
		{"waiting by number", `{"state":1,"identity":"a"}`, `{"state":44,"identity":"a"}`},
		{"white space", " {\n\t\"state\" :  \"open\" ,\r\n \"identity\" : \"a\" } \n", " {\n\t\"state\" :  \"abandoned\" ,\r\n \"identity\" : \"a\" } \n"},
		{"numbers as they are written", `{"a":1.50,"b":1E+3,"c":-0,"state":2,"d":123456789012345678901234567890}`, `{"a":1.50,"b":1E+3,"c":-0,"state":44,"d":123456789012345678901234567890}`},
		{"escapes as they are written", `{"a":"\u00e9é\/\"","\u0073tate":"\u006fpen"}`, `{"a":"\u00e9é\/\"","\u0073tate":"abandoned"}`},
		{"states within", `{"state":"open","inner":{"state":"open"},"list":[{"state":2}]}`, `{"state":"abandoned","inner":{"state":"open"},"list":[{"state":2}]}`},
		{"the last of two counts", `{"state":"closed","state":"open"}`, `{"state":"closed","state":"abandoned"}`},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, ok := Abandon([]byte(test.json))
			if !ok || string(got) != test.want {
				t.Errorf("%s, %v, want %s", got, ok, test.want)
			}
			if State(got) != StateAbandoned {
				t.Errorf("the state of %s is %q", got, State(got))
			}
		})
	}
}

func TestASessionJSONThatNobodyWaitsForStays(t *testing.T) {
	for _, json := range []string{
		``, `{}`, `null`, `"open"`, `[{"state":"open"}]`, `{"state":"closed"}`, `{"state":"abandoned"}`, `{"state":"unknown"}`, `{"state":0}`, `{"state":4}`,
		`{"state":44}`, `{"state":"2"}`, `{"state":2.0}`, `{"state":22}`, `{"state":null}`, `{"state":["open"]}`, `{"State":"open"}`, `{"state":"open","state":"closed"}`,
		`{"state":"open"`, `{"state":"open"}}`, `{"state":"open",}`, "{\"state\":\"open\",\"a\":\"\xff\"}", `{"inner":{"state":"open"}}`,
	} {
		if got, ok := Abandon([]byte(json)); ok {
			t.Errorf("%s becomes %s", json, got)
		}
	}
}

func TestStates(t *testing.T) {
	for json, want := range map[string]string{
		`{"state":"open"}`: StateOpen, `{"state":2}`: StateOpen, `{"state":"Waiting"}`: StateWaiting, `{"state":1}`: StateWaiting,
		`{"state":"ABANDONED"}`: StateAbandoned, `{"state":44}`: StateAbandoned, `{"state":"closed"}`: "", `{}`: "", `x`: "",
	} {
		if got := State([]byte(json)); got != want {
			t.Errorf("%s is %q, want %q", json, got, want)
		}
	}
}

// FuzzAbandon holds the edit in place against encoding/json: all but the state
// means the same, in the same order, and was not touched.
func FuzzAbandon(f *testing.F) {
	for _, seed := range []string{
		goodSession, `{"state":"open"}`, `{"a":1.0,"state":1,"b":"\u00e9"}`, ` { "\u0073tate" : "Ope\u006e" } `, `{"state":"open","state":2}`, `{"state":"closed"}`,
		`{"state":{"state":"open"}}`, "{\"state\":\"open\",\"\xff\":1}",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, doc []byte) {
		got, ok := Abandon(doc)
		var before, after map[string]json.RawMessage
		if utf8.Valid(doc) && json.Unmarshal(doc, &before) == nil {
			if want := isOpen(before["state"]); ok != want {
				t.Fatalf("changed: %v, want %v", ok, want)
			}
		} else if ok {
			t.Fatal("what is no JSON object is changed")
		}
		if !ok {
			return
		}
		if err := json.Unmarshal(got, &after); err != nil {
			t.Fatalf("%s: %v", got, err)
		}
		if State(got) != StateAbandoned || isOpen(after["state"]) {
			t.Fatalf("the state is %s", after["state"])
		}
		// What is around the state is what was around it.
		delete(after, "state")
		delete(before, "state")
		if !reflect.DeepEqual(before, after) {
			t.Fatalf("%s became %s", doc, got)
		}
		head, tail := commonEnds(doc, got)
		if rest := len(doc) - head - tail; rest > len(`"\u0077\u0061\u0069\u0074\u0069\u006e\u0067"`) {
			t.Fatalf("%d bytes changed", rest)
		}
	})
}

// isOpen is what encoding/json makes of a state.
func isOpen(raw json.RawMessage) bool {
	if s := string(raw); s == "1" || s == "2" {
		return true
	}
	var name string
	if len(raw) == 0 || raw[0] != '"' || json.Unmarshal(raw, &name) != nil {
		return false
	}
	name = strings.ToLower(name)
	return name == "open" || name == "waiting"
}

// commonEnds are the lengths of what two texts have in common at their ends.
func commonEnds(a, b []byte) (head, tail int) {
	for head < min(len(a), len(b)) && a[head] == b[head] {
		head++
	}
	for tail < min(len(a), len(b))-head && a[len(a)-1-tail] == b[len(b)-1-tail] {
		tail++
	}
	return head, tail
}

func TestClosedSessionsAreToldFromOpenOnes(t *testing.T) {
	for text, want := range map[string]bool{
		`{"identity":"a","state":4}`: true, `{"identity":"a","state":"closed"}`: true, `{"state":"Truncated"}`: true,
		`{"state":12}`: true, `{"state":28}`: true, `{"state":"FAILED"}`: true, `{"state":44}`: true, `{"state":"clos\u0065d"}`: true,
		`{"state":2}`: false, `{"state":"open"}`: false, `{"state":1}`: false, `{"state":0}`: false, `{"state":"4"}`: false,
		`{"identity":"a"}`: false, `{}`: false, ``: false, `{"state":4`: false, "{\"state\":4,\"a\":\"\xff\"}": false, `4`: false,
	} {
		if got := Closed([]byte(text)); got != want {
			t.Errorf("%s: %v", text, got)
		}
	}
}
