package burst

import (
	"bytes"
	"encoding/json"
	"unicode/utf8"
)

// sessionMembers is what a Session JSON must have, as it stands there. Of a
// member that comes twice the last counts, as with most readers.
type sessionMembers struct {
	identity, state []byte
	stateAt         int // the index of state
}

func (s *sessionMembers) note(key, value []byte, at int) {
	if bytes.IndexByte(key, '\\') >= 0 {
		key = plainString(key)
	}
	switch string(key) {
	case `"identity"`:
		s.identity = value
	case `"state"`:
		s.state, s.stateAt = value, at
	}
}

// plainString rewrites a JSON string without the escapes that it does not need.
// Nobody writes keys so; it may allocate.
func plainString(s []byte) []byte {
	var text string
	if err := json.Unmarshal(s, &text); err != nil {
		return s
	}
	return []byte(`"` + text + `"`)
}

// checkSessionJSON checks a Session JSON, known to be UTF-8, for its syntax and
// for what the RTA documentation's session model requires of it: an identity,
// and a state that is one of the model's.
func checkSessionJSON(b []byte) Reasons {
	reasons, _ := readSessionJSON(b)
	return reasons
}

// IsSessionJSON reports whether bytes are a Session JSON: an object with an
// identity and one of the states of the session model.
func IsSessionJSON(b []byte) bool { return utf8.Valid(b) && checkSessionJSON(b) == 0 }

func readSessionJSON(b []byte) (reasons Reasons, members sessionMembers) {
	i := jsonSpace(b, 0)
	if i < len(b) && b[i] == '{' {
		i = jsonObject(b, i, 1, &members)
	} else {
		i = jsonValue(b, i, 0)
	}
	if i < 0 || jsonSpace(b, i) != len(b) {
		reasons.add(SessionNotJSON)
		return reasons, members
	}
	if len(members.identity) == 0 || members.identity[0] != '"' {
		reasons.add(SessionIdentityMissing)
	}
	if !knownState(members.state) {
		reasons.add(SessionStateUnknown)
	}
	return reasons, members
}

// knownState reports whether a JSON value is a state of the session model: its
// name in any letter case, or its number.
func knownState(value []byte) bool {
	if bytes.IndexByte(value, '\\') >= 0 {
		value = plainString(value)
	}
	if len(value) == 0 {
		return false
	}
	if value[0] != '"' {
		switch string(value) {
		case "0", "1", "2", "4", "12", "28", "44":
			return true
		}
		return false
	}
	name := value[1 : len(value)-1]
	for _, state := range [...]string{"open", "closed", "waiting", "truncated", "failed", "abandoned", "unknown"} {
		if len(name) == len(state) && equalFold(name, state) {
			return true
		}
	}
	return false
}

// equalFold reports whether name is lower in some letter case; both are equally
// long and lower is ASCII letters.
func equalFold(name []byte, lower string) bool {
	for i, c := range name {
		if c|0x20 != lower[i] {
			return false
		}
	}
	return true
}
