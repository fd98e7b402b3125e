package burst

import (
	"slices"
	"testing"
)

func TestEncodingsAreParsedFromTheirNames(t *testing.T) {
	want := []string{"frame", "legacy-frame", "pickle", "size-prefixed-block", "wrap", "block"}
	var names []string
	for _, enc := range Encodings() {
		names = append(names, enc.String())
		if got, err := ParseEncoding(enc.String()); got != enc || err != nil {
			t.Errorf("ParseEncoding(%q) = %v, %v", enc, got, err)
		}
	}
	if !slices.Equal(names, want) {
		t.Errorf("names %q, want %q", names, want)
	}
	for _, name := range []string{"auto", ""} {
		if got, err := ParseEncoding(name); got != Auto || err != nil {
			t.Errorf("ParseEncoding(%q) = %v, %v", name, got, err)
		}
	}
	for _, name := range []string{"Frame", "lz4", "block "} {
		if got, err := ParseEncoding(name); got != Auto || err == nil {
			t.Errorf("ParseEncoding(%q) = %v, %v", name, got, err)
		}
	}
}

func TestReasonsHaveNamesOfTheirOwn(t *testing.T) {
	seen := map[string]bool{}
	for _, r := range AllReasons() {
		if r.String() == "" || seen[r.String()] {
			t.Errorf("reason %d has the name %q, which is empty or taken", r, r)
		}
		seen[r.String()] = true
	}
}

func TestASetOfReasonsIsAsBadAsItsWorst(t *testing.T) {
	for _, test := range []struct {
		name    string
		reasons []Reason
		verdict Verdict
		strings []string
	}{
		{"none", nil, OK, []string{}},
		{"a warning", []Reason{SessionStateUnknown}, Warn, []string{"session_state_unknown"}},
		{"two warnings", []Reason{UnknownField, OverOneMiB, UnknownField}, Warn, []string{"over_1_mib", "unknown_field"}},
		{"the first that is invalid", []Reason{Empty}, Invalid, []string{"empty"}},
		{"a warning and one that is invalid", []Reason{SessionNotJSON, UnknownField}, Invalid, []string{"unknown_field", "session_not_json"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			var set Reasons
			for _, r := range test.reasons {
				set.add(r)
				if !set.Has(r) {
					t.Errorf("%s was added and is not there", r)
				}
			}
			if set.Verdict() != test.verdict || !slices.Equal(set.Strings(), test.strings) {
				t.Errorf("%s %q, want %s %q", set.Verdict(), set.Strings(), test.verdict, test.strings)
			}
		})
	}
}

func TestXXH32HasTheSpecificationsValues(t *testing.T) {
	for text, want := range map[string]uint32{
		"":    0x02CC5D05,
		"a":   0x550D7456,
		"abc": 0x32D153FF,
		"Nobody inspects the spammish repetition": 0xE2293B2F,
	} {
		if got := xxh32([]byte(text)); got != want {
			t.Errorf("xxh32(%q) = %08x, want %08x", text, got, want)
		}
	}
}
