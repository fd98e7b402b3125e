package registry

import (
	"errors"
	"slices"
	"strings"
	"time"
)

// The properties of a session, as the RTA documentation names them.
const (
	propUpdated    = "lastUpdated"
	propUpdatedOld = "updated" // some producers' name for lastUpdated
	propStream     = "streamName"
	propID         = "streamSessionId"
	propPosition   = "streamPosition"
	propStart      = "tStart"
	propEnd        = "tEnd"
	propJSON       = "json"
	// propStreamAlias marks an entry as RTA's only where it names a listed
	// stream.
	propStreamAlias = "stream"
)

// properties are all properties. The first four are those that clean-up
// reads; the stream's name leads, so that the scan of the fields layout, which
// goes by the first property that a session has, never misses an owner.
var properties = []string{propStream, propUpdated, propUpdatedOld, propID, propPosition, propStart, propEnd, propJSON}

const readProperties = 4

// fullProperties are all but the Session JSON, which may be big.
const fullProperties = 7

// marks are the properties each of which marks an entry as RTA's.
var marks = []string{propID, propStream, propPosition, propStart, propEnd}

func isMark(property string) bool { return slices.Contains(marks, property) }

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
	// Foreign: nothing marks the entry as RTA's. It is never changed.
	Foreign bool
	// Malformed says why the time of the session cannot be known; see Fault.
	Malformed error
	// SelfExpiring: the entry may expire by itself, so that fewer of its kind
	// mean no loss.
	SelfExpiring bool
	// PutBack is when it was put back after it had expired, zero if it was not, or if
	// nobody asked; see [Registry.PutBack].
	PutBack time.Time

	// What a deletion compares: the value in the object layout; in the others
	// the stream's name, the id and both names of the time, absent or not.
	value                        string
	stream, id, updated, altTime optional
	// position, start and end are read by a scan [Registry.InFull].
	position, start, end optional
	// marked: a field marks it as RTA's.
	marked bool
	// bytes are those in which names of streams are looked for if it is malformed,
	// and isNamed says that a name stands where it belongs.
	bytes   string
	isNamed bool
	// blind: nothing is known of what it owns.
	blind bool
	// mayEnd: its fields may expire by themselves.
	mayEnd bool
}

// Forget returns the session without what it was read from, so that many fit in
// memory: it can be looked for, but no longer be removed.
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
	ErrFuture      = errors.New("lastUpdated is more than a day in the future")
	ErrNotJSON     = errors.New("the value is not a JSON object")
	ErrNoName      = errors.New("streamName is not a text")
	// ErrTwoLayouts: the entry may be a property of another session.
	ErrTwoLayouts = errors.New("the entry may belong to the session of another layout")
	// ErrNoHash: nothing can be read there.
	ErrNoHash = errors.New("the key is not a Hash")
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

// fromArg reads what [optional.arg] wrote.
func fromArg(v any) optional {
	text, _ := v.(string)
	text, set := strings.CutPrefix(text, "=")
	return optional{text, set}
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
	s.Updated, s.Malformed = parseTime(updated.text)
}

// sessionOf makes a session of its values in the order of properties, of which
// those that were not read are missing at the end.
func sessionOf(identity string, layout Layout, values []any) Session {
	s := Session{Identity: identity, Layout: layout}
	s.stream, s.id = newOptional(values[0]), newOptional(values[3])
	s.Stream, s.HasStream, s.ID = s.stream.text, s.stream.set, s.id.text
	s.setTime(newOptional(values[1]), newOptional(values[2]))
	if len(values) >= fullProperties {
		s.position, s.start, s.end = newOptional(values[4]), newOptional(values[5]), newOptional(values[6])
	}
	for i, value := range values {
		s.marked = s.marked || value != nil && isMark(properties[i])
	}
	return s
}

// compared are the arguments by which a script sees that a session is as it
// was read.
func (s Session) compared() []any {
	return []any{s.updated.arg(), s.altTime.arg(), s.stream.arg(), s.id.arg()}
}

// sameLua is what it sees that with: a session whose properties have a prefix
// is as it was read if same(prefix, i), where its arguments begin at i.
const sameLua = `
local function same(prefix, i)
  local v = redis.call('HMGET', KEYS[1], prefix .. 'lastUpdated', prefix .. 'updated', prefix .. 'streamName', prefix .. 'streamSessionId')
  for k = 1, 4 do
    if (v[k] and '=' .. v[k] or '') ~= ARGV[i + k - 1] then return false end
  end
  return true
end
`
