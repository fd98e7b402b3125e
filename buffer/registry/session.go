package registry

import (
	"errors"
	"strconv"
	"strings"
	"time"
)

// The properties of a session, as the RTA documentation names them.
const (
	propUpdated    = "lastUpdated"
	propUpdatedOld = "updated" // some producers' name for lastUpdated
	propStream     = "streamName"
	propID         = "streamSessionId"
	propJSON       = "json"
)

// properties are all properties. The first four are those that clean-up
// reads; the stream's name leads, so that the walk of the fields layout, which
// goes by the first property that a session has, never misses an owner.
var properties = []string{propStream, propUpdated, propUpdatedOld, propID, "streamPosition", "tStart", "tEnd", propJSON}

const readProperties = 4

// Session is one entry of the registry, as far as clean-up needs it.
type Session struct {
	// Identity names the session; any bytes.
	Identity string
	// Layout in which it was found.
	Layout Layout
	// Stream is the name of the stream that carries it, if HasStream.
	Stream    string
	HasStream bool
	// ID is the streamSessionId as text, empty if there is none.
	ID string
	// Updated is when the entry was last updated, if Malformed is nil.
	Updated time.Time
	// Malformed says why the time of the session cannot be known.
	Malformed error

	// What a deletion compares: the value in the object layout; in the
	// others both names of the time, absent or not.
	value            string
	updated, altTime optional
}

// Forget returns the session without what it was read from, to be kept in mind
// in great number: it can be looked for, but no longer be removed.
func (s Session) Forget() Session {
	return Session{
		Identity: strings.Clone(s.Identity), Layout: s.Layout,
		Stream: strings.Clone(s.Stream), HasStream: s.HasStream,
	}
}

// Why a session is malformed.
var (
	ErrNoTime      = errors.New("lastUpdated is missing")
	ErrTimeInvalid = errors.New("lastUpdated is not a time in milliseconds")
	ErrNotJSON     = errors.New("the value is not a JSON object")
)

// optional is a field's value, or that there is none.
type optional struct {
	text string
	set  bool
}

func newOptional(v any) optional {
	text, ok := v.(string)
	return optional{text, ok}
}

// arg is how a script gets it: "=" and the value, or "" for none.
func (o optional) arg() string {
	if !o.set {
		return ""
	}
	return "=" + o.text
}

// setTime reads the time from its two names, lastUpdated first.
func (s *Session) setTime(updated, alt optional) {
	s.updated, s.altTime = updated, alt
	if !updated.set {
		updated = alt
	}
	if !updated.set {
		s.Malformed = ErrNoTime
		return
	}
	ms, ok := parseMillis(updated.text)
	if !ok {
		s.Malformed = ErrTimeInvalid
		return
	}
	s.Updated = time.UnixMilli(ms).UTC()
}

// parseMillis takes a whole number, also written as a JSON number with a
// fraction or an exponent.
func parseMillis(text string) (int64, bool) {
	text = strings.TrimSpace(text)
	if ms, err := strconv.ParseInt(text, 10, 64); err == nil {
		return ms, ms >= 0
	}
	if strings.ContainsAny(text, "xXpP_nN") {
		return 0, false
	}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil || f < 0 || f > 1<<62 {
		return 0, false
	}
	return int64(f), true
}

// sessionOf makes a session of its values in the order of properties.
func sessionOf(identity string, layout Layout, values []any) Session {
	s := Session{Identity: identity, Layout: layout}
	stream := newOptional(values[0])
	s.Stream, s.HasStream = stream.text, stream.set
	s.setTime(newOptional(values[1]), newOptional(values[2]))
	s.ID = newOptional(values[3]).text
	return s
}
