package trim

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/streamkeeper/streamkeeper/buffer"
	"github.com/streamkeeper/streamkeeper/internal/golden"
)

var someDay = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// named keeps a table in its order.
type named[T any] struct {
	name  string
	value T
}

func policies() []named[Policy] {
	return []named[Policy]{
		{"nothing limited", Policy{}},
		{"keep all", Policy{MaxLength: 10, KeepAll: true}},
		{"length", Policy{MaxLength: 1000}},
		{"exact length", Policy{MaxLength: 1000, Exact: true}},
		{"age", Policy{MaxAge: time.Hour}},
		{"exact age", Policy{MaxAge: time.Hour, Exact: true}},
		{"length and age", Policy{MaxLength: 1000, MaxAge: time.Hour}},
		{"length, young protected", Policy{MaxLength: 1000, MinAge: 10 * time.Minute}},
		{"exact length, young protected", Policy{MaxLength: 1000, MinAge: 10 * time.Minute, Exact: true}},
		{"length and age, young protected", Policy{MaxLength: 1000, MaxAge: 26 * time.Hour, MinAge: 90 * time.Second, Exact: true}},
	}
}

func facts() []named[StreamStats] {
	at := func(ago time.Duration) buffer.ID { return buffer.TimeID(someDay.Add(-ago)) }
	info := func(length, nodes int64, first, newest buffer.ID) buffer.StreamInfo {
		return buffer.StreamInfo{Type: "stream", Length: length, LastID: newest, First: first, Newest: newest, Nodes: nodes}
	}
	long := info(5050, 51, at(2*time.Hour), at(0))
	return []named[StreamStats]{
		{"no key", StreamStats{Info: buffer.StreamInfo{Type: "none"}}},
		{"a hash", StreamStats{Info: buffer.StreamInfo{Type: "hash"}}},
		{"empty", StreamStats{Info: buffer.StreamInfo{Type: "stream", LastID: at(time.Hour)}}},
		{"within the limit", StreamStats{Info: info(1000, 10, at(30*time.Minute), at(0))}},
		{"99 too many", StreamStats{Info: info(1099, 11, at(30*time.Minute), at(0))}},
		{"100 too many", StreamStats{Info: info(1100, 11, at(30*time.Minute), at(0))}},
		{"long, half of it old", StreamStats{Info: long, OldEntries: 2525, YoungEntries: 420}},
		{"long, five old ones counted", StreamStats{Info: long, OldEntries: 5, YoungEntries: 420}},
		{"long, all young", StreamStats{Info: info(5050, 51, at(time.Minute), at(0)), YoungEntries: 5050}},
		{"all old", StreamStats{Info: info(250, 3, at(3*time.Hour), at(2*time.Hour)), OldEntries: 250}},
		{"ids are counters", StreamStats{Info: info(5050, 51, buffer.ID{Ms: 1}, buffer.ID{Ms: 5050}), OldEntries: 5050, YoungEntries: 5050}},
		{"held by a group that read half", StreamStats{Info: long, OldEntries: 2525, YoungEntries: 420, NeededBy: "storage", NeededEntries: 2600}},
		{"held by a group that read nothing", StreamStats{Info: long, OldEntries: 2525, YoungEntries: 420, NeededBy: "gro\xffup", NeededEntries: 5050}},
	}
}

func TestDecideSaysWhatGoesAndWhy(t *testing.T) {
	var b strings.Builder
	for _, f := range facts() {
		fmt.Fprintf(&b, "%s\n", f.name)
		for _, p := range policies() {
			f.value.Stream = "car"
			action, ok := Decide(p.value, f.value, someDay)
			outcome := "nothing goes"
			if ok && action.Entries == 0 {
				outcome = "nothing goes: " + action.Reason()
			}
			if ok && action.Entries > 0 {
				outcome = fmt.Sprintf("%d entries go: %s", action.Entries, action.Reason())
			}
			for _, protection := range action.Protected {
				outcome += fmt.Sprintf("; %d stay by %s", protection.Entries, protection.By)
			}
			fmt.Fprintf(&b, "  %-32s %s\n", p.name+":", outcome)
		}
	}
	golden.Compare(t, "testdata/decide.golden", b.String())
}

func TestAPolicyPrintsItselfAsASentence(t *testing.T) {
	var b strings.Builder
	for _, p := range policies() {
		fmt.Fprintf(&b, "%-32s %s\n", p.name+":", p.value)
	}
	golden.Compare(t, "testdata/policies.golden", b.String())
}

func TestRulesAreReadOrRefusedWithAReason(t *testing.T) {
	base := Policy{MaxLength: 10_000, MinAge: time.Minute}
	var b strings.Builder
	for _, text := range []string{
		``,
		` ; ;`,
		`rocket-*: max_length=5000, max_age=10m; "odd: name": keep=all`,
		`two words: max_length=20`,
		`a:b:c: exact=true`,
		`"semi;colon, comma": max_age=1h`,
		`"say \"so\"": max_length=20`,
		`"\xff\x00": max_length=20`,
		`"": max_length=20`,
		"\xff*: max_length=20",
		`car-[0-9]*: min_age=0, max_length=0, max_age=2h,`,
		`*:max_length=5`,
		`car`,
		`car:`,
		`car: ,`,
		`: max_length=20`,
		`"car: max_length=20`,
		`"car"x: max_length=20`,
		`"\q": max_length=20`,
		`car: max_lenght=20`,
		`car: max_length`,
		`car: max_length=`,
		`car: max_length=-1`,
		`car: max_length=1e4`,
		`car: max_length=99999999999999999999`,
		`car: max_age=10`,
		`car: max_age=-10m`,
		`car: min_age=soon`,
		`car: exact=maybe`,
		`car: keep=some`,
		`demo*: keep=all, max_length=5000`,
		`car: max_age=1h, exact=true, keep=all, max_bytes=64MiB; bus: keep=all, max_length=0, min_age=1h`,
		`car: max_length=20; bus: max_age=x; van: keep=`,
		`car: max_length=20: max_age=1h`,
		`car-*: max_length=20; car-1: max_length=30`,
		`car-1: max_length=30; car-*: max_length=20`,
		`"a;b": keep=all; car: max_age=1h; "a;b": exact=true; c[a]r: exact=true`,
	} {
		rules, err := ParseRules(text, base)
		fmt.Fprintf(&b, "%q\n", text)
		if err != nil {
			fmt.Fprintf(&b, "  refused: %s\n", strings.ReplaceAll(err.Error(), "\n", "\n  refused: "))
			continue
		}
		for _, sentence := range (Policies{Default: base, Rules: rules}).Sentences() {
			fmt.Fprintf(&b, "  %+q\n", sentence)
		}
	}
	golden.Compare(t, "testdata/rules.golden", b.String())
}

func TestPoliciesThatMakeNoSenseAreRefused(t *testing.T) {
	var b strings.Builder
	for _, p := range []named[Policy]{
		{"length 9", Policy{MaxLength: 9}},
		{"length 10", Policy{MaxLength: 10}},
		{"age 59s", Policy{MaxAge: 59 * time.Second}},
		{"age 1m", Policy{MaxAge: time.Minute}},
		{"both tiny", Policy{MaxLength: 1, MaxAge: time.Second}},
		{"must stay and must go", Policy{MaxAge: time.Hour, MinAge: 2 * time.Hour}},
		{"young protected from length alone", Policy{MaxLength: 100, MinAge: 2 * time.Hour}},
	} {
		fmt.Fprintf(&b, "%s: %v; tiny allowed: %v\n", p.name, p.value.Validate(false), p.value.Validate(true))
	}
	golden.Compare(t, "testdata/validate.golden", b.String())
}

func FuzzParseRules(f *testing.F) {
	f.Add(`rocket-*: max_length=5000, max_age=10m; "odd: name": keep=all`)
	f.Add(`"\xff;": exact=1;:`)
	base := Policy{MaxLength: 10_000}
	f.Fuzz(func(t *testing.T, text string) {
		rules, err := ParseRules(text, base)
		if err != nil {
			return
		}
		for _, r := range rules {
			p := r.Policy
			if p.MaxLength < 0 || p.MaxAge < 0 || p.MinAge < 0 {
				t.Errorf("%q gives the limits %+v", text, p)
			}
			again, err := ParseRules(fmt.Sprintf("%s: max_length=%d, max_age=%s, min_age=%s, exact=%t", r.Pattern, p.MaxLength, p.MaxAge, p.MinAge, p.Exact), base)
			if err == nil && len(again) == 1 && !p.KeepAll && again[0] != r {
				t.Errorf("%q gives %+v, which reads back as %+v", text, r, again[0])
			}
		}
	})
}
