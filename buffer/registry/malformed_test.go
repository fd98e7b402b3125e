package registry

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

func TestAnUnreadableValueOwnsEachStreamThatItMentions(t *testing.T) {
	const time = `"lastUpdated":1763874856000,`
	for name, tt := range map[string]struct{ value, stream string }{
		"NaN":                           {`{` + time + `"tStart":NaN,"streamName":"car"}`, "car"},
		"Infinity":                      {`{` + time + `"tStart":-Infinity,"streamName":"car"}`, "car"},
		"True":                          {`{` + time + `"open":True,"streamName":"car"}`, "car"},
		"a byte order mark":             {"\xef\xbb\xbf{" + time + `"streamName":"car"}`, "car"},
		"a comment":                     {`{/* mine */` + time + `"streamName":"car"}`, "car"},
		"a plus sign":                   {`{"lastUpdated":+1763874856000,"streamName":"car"}`, "car"},
		"single quotes":                 {`{'lastUpdated':1763874856000,'streamName':'car'}`, "car"},
		"an array":                      {`[{` + time + `"streamName":"car"}]`, "car"},
		"a doubly encoded object":       {`"{\"streamName\":\"car\"}"`, "car"},
		"a doubly encoded escape":       {`"{\"streamName\":\"\\u00e9\\\"\"}"`, `é"`},
		"an array for a name":           {`{` + time + `"streamName":["car"]}`, "car"},
		"cut off":                       {`{` + time + `"streamName":"car`, "car"},
		"an upper case escape":          {`{` + time + `"streamName":"\u00E9 1",}`, "é 1"},
		"an escaped slash":              {`{` + time + `"streamName":"a\/b",}`, "a/b"},
		"needless escapes":              {`{` + time + `"streamName":"\u0063ar",}`, "car"},
		"a character of two escapes":    {`{` + time + `"streamName":"\ud83c\udfce",}`, "🏎"},
		"half a character, replaced":    {`{` + time + `"streamName":"car\ud83c"}`, "car\uFFFD"},
		"half a character, passed on":   {`{` + time + `"streamName":"car\ud83c"}`, "car\xed\xa0\xbc"},
		"bytes that are not UTF-8":      {`{` + time + "\"streamName\":\"\xff\xfe\",}", "\xff\xfe"},
		"a name that is empty":          {`{` + time + `"streamName":"",}`, ""},
		"the name before what is wrong": {`{"streamName":"car",` + time + `"x":nan}`, "car"},
		"no time":                       {`{"streamName":"other","note":"car"}`, "car"},
		"no time, and no name":          {`{"streamSessionId":3,"json":"{\"streamName\":\"car\"}"}`, "car"},
	} {
		t.Run(name, func(t *testing.T) {
			s := objectSession("i", tt.value)
			if s.Malformed == nil || !s.marked {
				t.Errorf("read as %+v", s)
			}
			var u MalformedOwners
			if u.MayOwn(tt.stream) {
				t.Error("owned before anything was added")
			}
			u.Add(&s)
			u.Add(&s)
			if !u.MayOwn(tt.stream) || u.Overflow() {
				t.Errorf("%q is not owned by %q", tt.stream, tt.value)
			}
			if u.MayOwn("another") {
				t.Error("another stream is owned")
			}
		})
	}
}

func TestWhatIsNoOwnerIsNotKept(t *testing.T) {
	var u MalformedOwners
	for _, value := range []string{`{"tStart":NaN,"car":1}`, `hello car`, `{"lastUpdated":1763874856000,"streamName":"other","note":"car"}`} {
		s := objectSession("i", value)
		u.Add(&s)
	}
	if u.MayOwn("car") || u.MayOwn("") || u.Overflow() || u.bytes != 0 {
		t.Errorf("%d bytes are kept", u.bytes)
	}
}

func TestUnreadableValuesAreKeptUpToAMebibyte(t *testing.T) {
	var u MalformedOwners
	value := func(i int) Session {
		return objectSession("i", fmt.Sprintf(`{"tStart":NaN,"streamName":"car %d","x":"%s"}`, i, strings.Repeat("x", 100<<10)))
	}
	for i := range 20 {
		s := value(i)
		u.Add(&s)
		u.Add(&s)
	}
	if !u.Overflow() || u.bytes > maxKept || !u.MayOwn("car 9") || u.MayOwn("car 11") {
		t.Errorf("overflow %v with %d bytes", u.Overflow(), u.bytes)
	}
	var small MalformedOwners
	s := objectSession("i", `{"x":"`+strings.Repeat("y", 2<<20)+`","z":NaN}`)
	small.Add(&s)
	if small.Overflow() {
		t.Error("a big value that mentions no stream holds back all")
	}
}

// FuzzMalformedOwners holds the test against encoding/json: a stream's name in
// a value that json can write is found however it is escaped.
func FuzzMalformedOwners(f *testing.F) {
	f.Add("car", "x")
	f.Add("é\"\\/<&>", "\u2028")
	f.Add("\xff", "")
	f.Fuzz(func(t *testing.T, stream, before string) {
		for _, v := range []any{map[string]any{"a": before, "streamName": stream}, []any{before, "streamName", stream}} {
			value, err := json.Marshal(v)
			if err != nil {
				return
			}
			twice, _ := json.Marshal(string(value))
			for _, text := range []string{string(value) + "x", string(twice)} {
				var u MalformedOwners
				s := objectSession("i", text)
				u.Add(&s)
				read, _ := jsonString(quoted(t, stream))
				if len(text) < maxKept && !u.MayOwn(read) {
					t.Fatalf("%q is not found in %q", read, text)
				}
			}
		}
	})
}

func quoted(t *testing.T, text string) string {
	t.Helper()
	b, err := json.Marshal(text)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
