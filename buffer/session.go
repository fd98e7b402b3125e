package buffer

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Layout is one of the ways in which producers keep sessions; the RTA
// documentation can be read in all three.
type Layout string

// The layouts.
const (
	// LayoutKeys is one Hash a session at sessions:<identity>.
	LayoutKeys Layout = "keys"
	// LayoutObject is one Hash whose values are JSON objects.
	LayoutObject Layout = "object"
	// LayoutFields is one Hash with a field for each property of each
	// session: <identity>:lastUpdated and so on.
	LayoutFields Layout = "fields"
)

// AllLayouts in the order in which they are reported.
var AllLayouts = []Layout{LayoutKeys, LayoutObject, LayoutFields}

// ParseLayouts reads "auto", which is no layout named, or layouts joined by
// commas.
func ParseLayouts(text string) ([]Layout, error) {
	if text == "" || text == "auto" {
		return nil, nil
	}
	var layouts []Layout
	for word := range strings.SplitSeq(text, ",") {
		switch l := Layout(strings.TrimSpace(word)); l {
		case LayoutKeys, LayoutObject, LayoutFields:
			layouts = append(layouts, l)
		default:
			return nil, fmt.Errorf("%q is no layout: want auto, or keys, object and fields joined by commas", word)
		}
	}
	return layouts, nil
}

// The properties of a session, as the RTA documentation names them.
const (
	fieldUpdated    = "lastUpdated"
	fieldUpdatedOld = "updated" // some producers' name for lastUpdated
	fieldStream     = "streamName"
	fieldID         = "streamSessionId"
	fieldJSON       = "json"
)

// sessionFields are all properties. The first four are those that clean-up
// reads; the stream's name leads, so that the walk of the fields layout, which
// goes by the first property that a session has, never misses an owner.
var sessionFields = []string{fieldStream, fieldUpdated, fieldUpdatedOld, fieldID, "streamPosition", "tStart", "tEnd", fieldJSON}

const readFields = 4

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

// objectSession reads an entry of the object layout.
func objectSession(identity, value string) Session {
	s := Session{Identity: identity, Layout: LayoutObject, value: value}
	var updated, alt optional
	err := scanObject(value, func(key, raw string, _ int) {
		switch key {
		case fieldUpdated:
			updated = scalar(raw)
		case fieldUpdatedOld:
			alt = scalar(raw)
		case fieldStream:
			stream := scalar(raw)
			s.Stream, s.HasStream = stream.text, stream.set
		case fieldID:
			s.ID = scalar(raw).text
		}
	})
	s.setTime(updated, alt)
	if err != nil {
		// What was read before the fault may not be what the producer meant,
		// except the stream: it counts as owned all the same.
		s.Malformed = ErrNotJSON
	}
	return s
}

// scalar is a JSON number or string as text; null is none.
func scalar(raw string) optional {
	if strings.HasPrefix(raw, `"`) {
		text, ok := jsonString(raw)
		return optional{text, ok}
	}
	if raw == "null" {
		return optional{}
	}
	return optional{raw, true}
}

// cutField splits a field of the fields layout at the property's name, which
// is at the end: an identity may itself hold ":".
func cutField(field string) (identity, property string, ok bool) {
	i := strings.LastIndexByte(field, ':')
	if i < 0 {
		return "", "", false
	}
	if !slices.Contains(sessionFields, field[i+1:]) {
		return "", "", false
	}
	return field[:i], field[i+1:], true
}

// looksLikeEntry reports whether a value is an entry of the object layout
// rather than a property of the fields layout. Of the properties only the
// Session JSON is an object too, and that must have an identity.
func looksLikeEntry(value string) bool {
	if !strings.HasPrefix(strings.TrimLeft(value, " \t\r\n"), "{") {
		return false
	}
	entry, sessionJSON := false, false
	_ = scanObject(value, func(key, _ string, _ int) {
		switch key {
		case fieldUpdated, fieldUpdatedOld, fieldStream, fieldID:
			entry = true
		case "identity":
			sessionJSON = true
		}
	})
	return entry && !sessionJSON
}
