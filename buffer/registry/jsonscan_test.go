package registry

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// members scans an object into a map, the last of equal keys winning.
func members(data string) (map[string]string, error) {
	m := make(map[string]string)
	err := scanObject(data, func(key, value string, at int) {
		if data[at:at+len(value)] != value {
			panic("a value is not where it is said to be")
		}
		m[key] = value
	})
	return m, err
}

func TestScanObjectFindsTheTopLevelMembers(t *testing.T) {
	for name, tt := range map[string]struct {
		data string
		want map[string]string
	}{
		"empty":                       {`{}`, map[string]string{}},
		"white space":                 {" \t\r\n{ \n} ", map[string]string{}},
		"scalars":                     {`{"a":1,"b":-2.5E+3,"c":true,"d":null}`, map[string]string{"a": "1", "b": "-2.5E+3", "c": "true", "d": "null"}},
		"white space all over":        {` { "a" : 1 , "b" : 2 } `, map[string]string{"a": "1", "b": "2"}},
		"the last of two wins":        {`{"a":1,"a":2}`, map[string]string{"a": "2"}},
		"nested members stay inside":  {`{"json":{"lastUpdated":5,"x":[{"y":"}]"}]},"lastUpdated":7}`, map[string]string{"json": `{"lastUpdated":5,"x":[{"y":"}]"}]}`, "lastUpdated": "7"}},
		"JSON in a string":            {`{"json":"{\"lastUpdated\":5}","lastUpdated":7}`, map[string]string{"json": `"{\"lastUpdated\":5}"`, "lastUpdated": "7"}},
		"a string that ends in slash": {`{"a":"\\","b":"\\\""}`, map[string]string{"a": `"\\"`, "b": `"\\\""`}},
		"an escaped key":              {`{"last\u0055pdated":7}`, map[string]string{"lastUpdated": "7"}},
		"bytes that are not UTF-8":    {"{\"a\":\"\xff\xfe\"}", map[string]string{"a": "\"\xff\xfe\""}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := members(tt.data)
			if err != nil {
				t.Fatal(err)
			}
			if len(got) != len(tt.want) {
				t.Errorf("got %q, want %q", got, tt.want)
			}
			for k, v := range tt.want {
				if got[k] != v {
					t.Errorf("%q is %q, want %q", k, got[k], v)
				}
			}
		})
	}
}

func TestScanObjectRefusesWhatIsNoObject(t *testing.T) {
	for _, data := range []string{
		"", " ", "1", `"a"`, "[]", "null", "{", `{"a"`, `{"a":`, `{"a":1`, `{"a":1,`, `{"a":1,}`, `{"a" 1}`, `{"a":}`, `{a:1}`,
		`{"a":1}x`, `{"a":1}{}`, `{"a":[1}`, `{"a":"x}`, `{"a":"x\"}`, `{"a":{"b":"`, `{,}`, `{"\q":1}`, `{"\u12":1}`,
	} {
		if _, err := members(data); err == nil {
			t.Errorf("%q passes for an object", data)
		}
	}
}

func TestScanObjectTakesWhatEncodingJSONTakes(t *testing.T) {
	for _, value := range []string{
		"0", "-0", "01", "1.", ".5", "-", "+5", "1e5", "1e", "1e+", "1E-05", "1.5e+3x", "true", "tru", "True", "nul", "null", "nulll", "NaN", "Infinity", "-Infinity",
		`"\u00zz"`, `"\u12"`, `"\x"`, `"\ud83c"`, "\"\x1f\"", "\"\x7f\"", "\"\xff\"", `"0123456\"`, `"01234567\"89"`, "\"0123456789\nabcdef\"",
		"[]", "[1]", "[1,]", "[,1]", "[1 2]", "{}", `{"b":1,}`, `{b:1}`, `{"b"}`, "'a'", "/**/1", "1//x", " 1 ", "\u00a01",
		strings.Repeat("[", 9999) + strings.Repeat("]", 9999), strings.Repeat("[", 10000) + strings.Repeat("]", 10000),
	} {
		data := `{"a":` + value + `}`
		valid := json.Valid([]byte(data))
		if _, err := members(data); (err == nil) != valid {
			t.Errorf("%.40q: %v, and encoding/json takes it: %v", data, err, valid)
		}
	}
}

func TestScanObjectTakesTimeInProportionToItsInput(t *testing.T) {
	// Each escape and each quote must not cost a look at all that follows.
	for name, piece := range map[string]string{"escapes": `\n`, "escaped quotes": `\"`, "slashes": `\\`} {
		data := `{"json":"` + strings.Repeat(piece, 4<<20) + `","lastUpdated":7}`
		started := time.Now()
		m, err := members(data)
		if err != nil || m["lastUpdated"] != "7" {
			t.Fatalf("%s: %v", name, err)
		}
		if took := time.Since(started); took > 2*time.Second {
			t.Errorf("%s: %d bytes took %s", name, len(data), took)
		}
	}
}

func TestJSONStringKeepsBytesAndReadsEscapes(t *testing.T) {
	for raw, want := range map[string]string{
		`""`: "", `"a b"`: "a b", "\"\xff\"": "\xff", `"\"\\\/\b\f\n\r\t"`: "\"\\/\b\f\n\r\t", `"\u00e9"`: "é",
		`"\ud83c\udfce"`: "🏎", `"\ud83c"`: "\uFFFD", `"\ud83c\u0041"`: "\uFFFDA", "\"\\u0041\xff\"": "A\xff",
	} {
		if got, ok := jsonString(raw); !ok || got != want {
			t.Errorf("%s is %q, %v, want %q", raw, got, ok, want)
		}
	}
	for _, raw := range []string{"", `"`, "1", "null", `"\u12"`, `"\uzzzz"`, `"\x41"`, `"\"`} {
		if got, ok := jsonString(raw); ok {
			t.Errorf("%s passes as %q", raw, got)
		}
	}
}

// FuzzScanObject holds the scanner against encoding/json: whatever that takes
// for an object is one, and the members that decide about a session are the
// same.
func FuzzScanObject(f *testing.F) {
	for _, seed := range []string{
		`{}`, `{"lastUpdated":1763874856000,"streamName":"a: b","streamSessionId":"5","json":"{\"x\":1}"}`,
		`{"updated":"17","lastUpdated":null,"streamName":"\ud83c\udfce\\"}`, `{"a":[{"b":[]},"]"],"lastUpdated":1e3}`,
		"{\"streamName\":\"\xff\"}", `{"last\u0055pdated":7}`, `{"a":1,"a":2}`, `{"a":"\\\\\""}`, `[]`, `{"a":1}}`,
		`{"a":+5}`, `{"a":NaN}`, `{"a":01}`, `{"a":1.}`, `{"a":.5}`, `{"a":-}`, `{"a":1e}`, `{"a":tru}`, `{"a":"\x"}`, "{\"a\":\"\t\"}", "\xef\xbb\xbf{}",
		`{"a":[1,]}`, `{"a":{"b":}}`, `{"a":"\ud83c","b":"12345678\u00"}`, `{"a":[[[[[]]]]],"b":"0123456789abcdef\u0000"}`, `{"a":/**/1}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		got, err := members(string(data))
		_ = objectSession("", string(data))
		_ = looksLikeEntry(string(data))
		var want map[string]json.RawMessage
		valid := json.Valid(data) && json.Unmarshal(data, &want) == nil && want != nil
		if valid != (err == nil) {
			t.Fatalf("encoding/json takes it: %v, and we: %v", valid, err)
		}
		if !valid {
			return
		}
		for _, key := range []string{propUpdated, propUpdatedOld, propStream, propID} {
			raw, ok := want[key]
			if scanned, found := got[key]; found != ok || scanned != string(raw) {
				t.Fatalf("%s is %q, %v, want %q, %v", key, scanned, found, raw, ok)
			}
			checkScalar(t, string(raw))
		}
	})
}

// checkScalar compares the text of a raw value with what a decoder makes of it.
func checkScalar(t *testing.T, raw string) {
	t.Helper()
	var text *string
	if json.Unmarshal([]byte(raw), &text) != nil || text == nil {
		return
	}
	got := scalar(raw)
	if !got.set {
		t.Fatalf("%s is no scalar", raw)
	}
	if utf8.ValidString(raw) && got.text != *text {
		t.Fatalf("%s is %q, want %q", raw, got.text, *text)
	}
	if !utf8.ValidString(raw) && !strings.Contains(raw, `\`) && got.text != raw[1:len(raw)-1] {
		t.Fatalf("%q has lost bytes: %q", raw, got.text)
	}
}
