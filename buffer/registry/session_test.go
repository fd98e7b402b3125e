package registry

import (
	"errors"
	"testing"
	"time"
)

func TestParseMillis(t *testing.T) {
	for text, want := range map[string]int64{
		"0": 0, "1763874856000": 1763874856000, "+5": 5, "-0": 0,
		"1763874856000.0": 1763874856000, "1763874856000.9": 1763874856000, "1.763874856e12": 1763874856000, "1.763874856E+12": 1763874856000,
		"9223372036854775807": 9223372036854775807,
	} {
		if got, ok := parseMillis(text); !ok || got != want {
			t.Errorf("%q is %d, %v, want %d", text, got, ok, want)
		}
	}
	if got, ok := parseMillis(" 5\n"); !ok || got != 5 {
		t.Errorf("white space around a number gives %d, %v", got, ok)
	}
	for _, text := range []string{
		"", " ", "-1", "-1.5", "abc", "12ms", "0x10", "1_000", "1p3", "NaN", "nan", "Inf", "-inf", "infinity", "true", "{}", "1e400", "9e99",
		"2026-11-23T00:00:00Z", "1,5",
	} {
		if got, ok := parseMillis(text); ok {
			t.Errorf("%q passes as %d", text, got)
		}
	}
}

func TestCutFieldSplitsAtTheKnownPropertyAtTheEnd(t *testing.T) {
	for field, want := range map[string]string{
		"a:lastUpdated":            "a|lastUpdated",
		"a:b:c:json":               "a:b:c|json",
		":updated":                 "|updated",
		"a::tStart":                "a:|tStart",
		"a:lastUpdated:streamName": "a:lastUpdated|streamName",
		"\xff *?[:tEnd":            "\xff *?[|tEnd",
		"a:streamPosition":         "a|streamPosition",
		"a:streamSessionId":        "a|streamSessionId",
	} {
		identity, property, ok := cutField(field)
		if got := identity + "|" + property; !ok || got != want {
			t.Errorf("%q splits into %q, %v, want %q", field, got, ok, want)
		}
	}
	for _, field := range []string{"", "lastUpdated", "a", "a:", "a:LastUpdated", "a:lastUpdated ", "a:state", "a:json:x"} {
		if identity, property, ok := cutField(field); ok {
			t.Errorf("%q splits into %q and %q", field, identity, property)
		}
	}
}

func TestAnEntryIsToldFromTheSessionJSON(t *testing.T) {
	for value, want := range map[string]bool{
		`{"lastUpdated":1,"streamName":"a"}`:                      true,
		`{"streamSessionId":"5"}`:                                 true,
		`{"json":{"identity":"x","state":2},"lastUpdated":1}`:     true,
		`{"json":"{\"identity\":\"x\",\"state\":2}"}`:             true,
		`{"json":{"identity":"x"},"lastUpdated":1}`:               false,
		`{"state":"open","updated":1600000000000}`:                false,
		`{"identity":"x","state":2,"streamName":"a","tStart":1}`:  false,
		`{"identity":"x","state":2,"streamName":"a","updated":1}`: true,
		`{"lastUpdated":1,"tStart":NaN,"streamName":"a"}`:         true,
		`["x",{"streamName":"a"}]`:                                true,
		`{"streamName":null,"lastUpdated":1}`:                     false,
		`{"identity":"x","state":2}`:                              false,
		`{"identity":"x","state":2,"updated":"2026-01-01"}`:       false,
		`{"identity":"x","details":{"lastUpdated":1}}`:            false,
		`1763874856000`:       false,
		``:                    false,
		`rocket-1`:            false,
		`{`:                   false,
		`{}`:                  false,
		`[{"lastUpdated":1}]`: false,
		`{"details":{"streamName":"a"},"timeRange":{"startTime":1}}`: false,
	} {
		if got := looksLikeEntry(value); got != want {
			t.Errorf("%s looks like an entry: %v", value, got)
		}
	}
	if !looksLikeEntry(" \n" + `{"streamName":"a","updated":1}`) {
		t.Error("white space before an entry hides it")
	}
}

func TestObjectSessionReadsWhatDecides(t *testing.T) {
	at := time.UnixMilli(1763874856000).UTC()
	for name, tt := range map[string]struct {
		value, stream, id string
		has               bool
		updated           time.Time
		malformed         error
	}{
		"numbers":                   {value: `{"streamSessionId":12,"streamName":"s","lastUpdated":1763874856000}`, stream: "s", has: true, id: "12", updated: at},
		"strings":                   {value: `{"streamSessionId":"12","streamName":"s","lastUpdated":"1763874856000"}`, stream: "s", has: true, id: "12", updated: at},
		"the other name":            {value: `{"updated":1763874856000}`, updated: at},
		"both names":                {value: `{"updated":5,"lastUpdated":1763874856000}`, updated: at},
		"null counts as missing":    {value: `{"updated":1763874856000,"lastUpdated":null,"streamName":null}`, updated: at},
		"a number for a name":       {value: `{"streamName":7,"lastUpdated":1763874856000}`, stream: "7", has: true, updated: at},
		"an empty name":             {value: `{"streamName":"","lastUpdated":1763874856000}`, has: true, updated: at},
		"no time":                   {value: `{"streamName":"s"}`, stream: "s", has: true, malformed: ErrNoTime},
		"a text for a time":         {value: `{"streamName":"s","lastUpdated":"yesterday"}`, stream: "s", has: true, malformed: ErrTimeInvalid},
		"a negative time":           {value: `{"streamName":"s","lastUpdated":-1}`, stream: "s", has: true, malformed: ErrTimeInvalid},
		"a time in an object":       {value: `{"lastUpdated":{"ms":1}}`, malformed: ErrTimeInvalid},
		"not JSON":                  {value: `hello`, malformed: ErrNotJSON},
		"an array":                  {value: `[1]`, malformed: ErrNotJSON},
		"empty":                     {value: ``, malformed: ErrNotJSON},
		"cut off, the stream known": {value: `{"streamName":"s","lastUpdated":1763874856000`, stream: "s", has: true, malformed: ErrNotJSON},
	} {
		t.Run(name, func(t *testing.T) {
			s := objectSession("i", tt.value)
			if s.Stream != tt.stream || s.HasStream != tt.has || s.ID != tt.id || !errors.Is(s.Malformed, tt.malformed) {
				t.Errorf("got %+v", s)
			}
			if tt.malformed == nil && !s.Updated.Equal(tt.updated) {
				t.Errorf("updated %s, want %s", s.Updated, tt.updated)
			}
		})
	}
}
