package burst

import (
	"bytes"
	"slices"
	"unicode/utf8"
)

// The states of a session that clients still wait for, and the one that tells
// them not to.
const (
	StateWaiting   = "waiting"
	StateOpen      = "open"
	StateAbandoned = "abandoned"
)

// States as numbers, as the RTA documentation's session model has them.
const (
	numberWaiting   = "1"
	numberOpen      = "2"
	numberAbandoned = "44"
)

// State is the state in a Session JSON if it is [StateWaiting], [StateOpen] or
// [StateAbandoned], in whatever way it is written; "" if it is another, or if
// what is given is no JSON object.
func State(sessionJSON []byte) string {
	state, _ := readState(sessionJSON)
	return state
}

// Closed reports whether the state in a Session JSON says that the session is
// over: closed, truncated, failed or abandoned.
func Closed(sessionJSON []byte) bool {
	if !utf8.Valid(sessionJSON) {
		return false
	}
	reasons, members := readSessionJSON(sessionJSON)
	if reasons.Has(SessionNotJSON) {
		return false
	}
	return slices.ContainsFunc(closedStates, func(s stateName) bool { return s.is(members.state) })
}

// stateName is a state in both ways in which it is written.
type stateName struct{ state, number string }

var closedStates = []stateName{{"closed", "4"}, {"truncated", "12"}, {"failed", "28"}, {StateAbandoned, numberAbandoned}}

func (s stateName) is(value []byte) bool {
	if bytes.IndexByte(value, '\\') >= 0 {
		value = plainString(value)
	}
	return string(value) == s.number || bytes.EqualFold(value, []byte(`"`+s.state+`"`))
}

// Abandon returns a Session JSON that is abandoned where the given one is open
// or waiting, and the same byte for byte in all else; false if it is neither.
// The state is written as the producer writes it: as a number, or in its letter
// case.
func Abandon(sessionJSON []byte) (abandoned []byte, ok bool) {
	state, members := readState(sessionJSON)
	if state != StateOpen && state != StateWaiting {
		return nil, false
	}
	end := members.stateAt + len(members.state)
	return slices.Concat(sessionJSON[:members.stateAt], abandonedLike(members.state), sessionJSON[end:]), true
}

func readState(sessionJSON []byte) (state string, members sessionMembers) {
	if !utf8.Valid(sessionJSON) {
		return "", members
	}
	reasons, members := readSessionJSON(sessionJSON)
	if reasons.Has(SessionNotJSON) {
		return "", members
	}
	for _, known := range [...]stateName{{StateWaiting, numberWaiting}, {StateOpen, numberOpen}, {StateAbandoned, numberAbandoned}} {
		if known.is(members.state) {
			return known.state, members
		}
	}
	return "", members
}

// abandonedLike is the state "abandoned" in the form of another state.
func abandonedLike(value []byte) []byte {
	if value[0] != '"' {
		return []byte(numberAbandoned)
	}
	name := []byte(StateAbandoned)
	switch plain := plainString(value); {
	case bytes.Equal(plain, bytes.ToUpper(plain)):
		name = bytes.ToUpper(name)
	case plain[1] < 'a':
		name[0] -= 'a' - 'A'
	}
	return slices.Concat([]byte{'"'}, name, []byte{'"'})
}
