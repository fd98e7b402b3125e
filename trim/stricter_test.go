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
