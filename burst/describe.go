package burst

import (
	"encoding/json"
	"errors"
	"slices"
	"unicode/utf8"
)

// ErrSessionJSON is returned for a Session JSON that cannot be read.
var ErrSessionJSON = errors.New("not a JSON object in UTF-8")

// Description is what a Session JSON says of its session.
type Description struct {
	// Identity is empty if there is none.
	Identity string
	// State is the name of a state of the session model, empty if it has none or
	// another; Written is what stands there.
	State, Written string
}

// Closed reports whether the session is over.
func (d Description) Closed() bool { return IsClosedState(d.State) }

// IsClosedState reports whether the name of a state says that the session is over.
func IsClosedState(state string) bool {
	return slices.ContainsFunc(closedStates, func(s stateName) bool { return s.state == state })
}

// ReadSession reads a Session JSON. It fails with [ErrSessionJSON].
func ReadSession(sessionJSON []byte) (Description, error) {
	if !utf8.Valid(sessionJSON) {
		return Description{}, ErrSessionJSON
	}
	reasons, members := readSessionJSON(sessionJSON)
	if i := jsonSpace(sessionJSON, 0); reasons.Has(SessionNotJSON) || sessionJSON[i] != '{' {
		return Description{}, ErrSessionJSON
	}
	var d Description
	if !reasons.Has(SessionIdentityMissing) {
		_ = json.Unmarshal(members.identity, &d.Identity) // it is a string
	}
	if d.Written = string(members.state); d.Written == "" {
		d.Written = "no state"
	}
	for _, known := range append([]stateName{{"unknown", "0"}, {StateWaiting, "1"}, {StateOpen, "2"}}, closedStates...) {
		if known.is(members.state) {
			d.State = known.state
		}
	}
	return d, nil
}
