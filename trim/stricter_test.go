package trim

import (
	"testing"
	"time"
)

func TestPoliciesAreStricterIfTheyMayKeepLess(t *testing.T) {
	base := Policies{Default: Policy{MaxLength: 1000, MaxAge: time.Hour, MinAge: time.Minute}}
	rules, err := ParseRules("car: max_length=10", base.Default)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		now  Policies
		want bool
	}{
		"the same":           {base, false},
		"a lower length":     {Policies{Default: Policy{MaxLength: 999, MaxAge: time.Hour, MinAge: time.Minute}}, true},
		"a higher length":    {Policies{Default: Policy{MaxLength: 1001, MaxAge: time.Hour, MinAge: time.Minute}}, false},
		"no length":          {Policies{Default: Policy{MaxAge: time.Hour, MinAge: time.Minute}}, false},
		"a lower age":        {Policies{Default: Policy{MaxLength: 1000, MaxAge: time.Minute, MinAge: time.Minute}}, true},
		"less is protected":  {Policies{Default: Policy{MaxLength: 1000, MaxAge: time.Hour}}, true},
		"a rule more":        {Policies{Default: base.Default, Rules: rules}, true},
		"age beside nothing": {Policies{Default: Policy{MaxLength: 1000, MaxAge: 2 * time.Hour, MinAge: time.Minute}}, false},
		"exact":              {Policies{Default: Policy{MaxLength: 1000, MaxAge: time.Hour, MinAge: time.Minute, Exact: true}}, true},
	} {
		if got := c.now.Stricter(base.Facts()); got != c.want {
			t.Errorf("%s is stricter: %v", name, got)
		}
	}
	if base.Stricter(nil) {
		t.Error("the first policy ever is stricter than none")
	}
	if unlimited := (Policies{}); !base.Stricter(unlimited.Facts()) {
		t.Error("a limit is not stricter than no limit")
	}
}

// What is displayed is rounded: rules that read alike may keep less all the same.
func TestRulesThatReadAlikeMayKeepLess(t *testing.T) {
	of := func(text string) Policies {
		rules, err := ParseRules(text, Policy{})
		if err != nil {
			t.Fatal(err)
		}
		return Policies{Rules: rules}
	}
	for before, after := range map[string]string{
		"car: max_age=24h0m30s":               "car: max_age=24h",
		"car: max_bytes=1048577":              "car: max_bytes=1048576",
		"car: keep=all":                       "car: max_length=10",
		"car: max_length=10":                  "car: max_length=10, exact=true",
		"car: max_length=10, min_age=24h0m1s": "car: max_length=10, min_age=24h",
	} {
		if !of(after).Stricter(of(before).Facts()) {
			t.Errorf("from %q to %q nothing changed", before, after)
		}
		if of(before).Stricter(of(before).Facts()) {
			t.Errorf("%q is stricter than itself", before)
		}
	}
}
