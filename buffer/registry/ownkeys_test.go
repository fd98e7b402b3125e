package registry

import "testing"

// severalKeys are layouts with keys of their own, of which the first and the last
// name theirs alike but for the end.
var severalKeys = []layout{
	keys{"ends", keyNames{":", ":state"}}, keys{"slash", keyNames{before: "/"}}, fields{}, object{}, keys{"tagged", keyNames{":{", "}"}}, keys{"plain", keyNames{before: ":"}},
}

func TestAKeyBelongsToTheFirstLayoutThatClaimsIt(t *testing.T) {
	t.Parallel()
	for key, want := range map[string]struct {
		layout   Layout
		identity string
	}{
		"sessions:a":             {"plain", "a"},
		"sessions:":              {"plain", ""},
		"sessions:a/b":           {"plain", "a/b"},
		"sessions:a:b":           {"plain", "a:b"},
		"sessions:state":         {"plain", "state"},
		"sessions:a:state":       {"ends", "a"},
		"sessions::state":        {"ends", ""},
		"sessions:a:state:state": {"ends", "a:state"},
		"sessions:{a}":           {"tagged", "a"},
		"sessions:{a}:state":     {"ends", "{a}"},
		"sessions:{a":            {"plain", "{a"},
		"sessions/a:state":       {"slash", "a:state"},
		"sessions/":              {"slash", ""},
		"sessions":               {},
		"sessionsX":              {},
		"streams:a":              {},
		"":                       {},
	} {
		l, identity, ok := ownerOf(severalKeys, "sessions", key)
		if ok != (want.layout != "") || ok && (l.name() != want.layout || identity != want.identity) {
			t.Errorf("%q is of %v and %q, want %+v", key, l, identity, want)
		}
	}
}

// Whatever a key is, that of the session that has it is the same one.
func FuzzAKeyAndItsSession(f *testing.F) {
	for _, key := range []string{"s:a", "s:a:state", "s:state", "s:{a}", "s:{}", "s/x", "s", "s:\xff:state"} {
		f.Add("s", key)
	}
	f.Fuzz(func(t *testing.T, sessions, key string) {
		if l, identity, ok := ownerOf(severalKeys, sessions, key); ok {
			if back := l.keyNames().key(sessions, identity); back != key {
				t.Errorf("%q became %q of the session %q", key, back, identity)
			}
		}
	})
}
