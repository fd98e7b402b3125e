package model

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// fate is what is right for a session, a name or a stream.
type fate int

const (
	stays fate = iota
	goes
	either // the contract leaves it open
)

func (f fate) String() string { return [...]string{"stays", "goes", "either"}[f] }

// session is a session as the contract reads it.
type session struct {
	layout, identity string
	values           map[string]string // nil if the value cannot be read
	raw              string            // all bytes of the value
	rta              bool
	unsure           bool   // may be read in another way
	hidden           bool   // trimming, which comes first, may take what tells
	time             uint64 // ms, 0 if malformed
	fate             fate
	why              string
}

var knownFields = []string{"streamSessionId", "streamName", "streamPosition", "lastUpdated", "updated", "json", "tStart", "tEnd", "stream"}

// sessionsIn reads every layout.
func sessionsIn(d dump, s settings) []*session {
	var all []*session
	add := func(found *session) {
		if len(s.layouts) == 0 || slices.Contains(s.layouts, found.layout) {
			all = append(all, found)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(d.keys)) {
		if identity, ok := strings.CutPrefix(name, "sessions:"); ok && d.keys[name].kind == "hash" {
			add(&session{layout: "keys", identity: identity, values: d.keys[name].hash, raw: fmt.Sprint(d.keys[name].hash)})
		}
	}
	hash := d.keys["sessions"]
	if hash == nil || hash.kind != "hash" {
		return all
	}
	flat := make(map[string]*session)
	for _, field := range slices.Sorted(maps.Keys(hash.hash)) {
		value := hash.hash[field]
		identity, name, ok := cutKnown(field)
		if whole := object(value); !ok || isEntry(whole) && alone(hash.hash, identity) {
			add(&session{layout: "object", identity: field, values: whole, raw: value, unsure: ok})
			continue
		}
		f := flat[identity]
		if f == nil {
			f = &session{layout: "fields", identity: identity, values: make(map[string]string)}
			flat[identity] = f
		}
		f.values[name] = value
		f.raw += name + " " + value + " "
	}
	for _, identity := range slices.Sorted(maps.Keys(flat)) {
		add(flat[identity])
	}
	return all
}

// isEntry says whether an object that lies where a property of a session would is
// more likely an entry of its own: a Session JSON has neither of these.
func isEntry(members map[string]string) bool {
	return has(members, "streamName") || has(members, "lastUpdated") || has(members, "updated")
}

// alone says whether no more than one known field has an identity in front.
func alone(hash map[string]string, identity string) bool {
	n := 0
	for _, name := range knownFields {
		if has(hash, identity+":"+name) {
			n++
		}
	}
	return n <= 1
}

// cutKnown takes a known field's name off the end of a field of the hash.
func cutKnown(field string) (identity, name string, ok bool) {
	i := strings.LastIndexByte(field, ':')
	if i < 0 || !slices.Contains(knownFields, field[i+1:]) {
		return "", "", false
	}
	return field[:i], field[i+1:], true
}

// object reads a JSON object's members as text, nil if it is none.
func object(value string) map[string]string {
	if !json.Valid([]byte(value)) {
		return nil
	}
	var members map[string]json.RawMessage
	if json.Unmarshal([]byte(value), &members) != nil || members == nil {
		return nil
	}
	out := make(map[string]string)
	for name, raw := range members {
		var text string
		if raw[0] == '"' {
			text = unquote(string(raw))
		} else {
			text = string(bytes.TrimSpace(raw))
		}
		out[name] = text
	}
	return out
}

// unquote reads a JSON string, invalid UTF-8 as it is.
func unquote(raw string) string {
	var out strings.Builder
	for i := 1; i < len(raw)-1; i++ {
		if raw[i] != '\\' {
			out.WriteByte(raw[i])
			continue
		}
		i++
		switch raw[i] {
		case 'n':
			out.WriteByte('\n')
		case 't':
			out.WriteByte('\t')
		case 'r':
			out.WriteByte('\r')
		case 'b':
			out.WriteByte('\b')
		case 'f':
			out.WriteByte('\f')
		case 'u':
			n, _ := strconv.ParseUint(raw[i+1:i+5], 16, 16)
			i += 4
			r := rune(n)
			if utf16.IsSurrogate(r) && i+6 < len(raw) && raw[i+1] == '\\' && raw[i+2] == 'u' {
				low, _ := strconv.ParseUint(raw[i+3:i+7], 16, 16)
				r = utf16.DecodeRune(r, rune(low))
				i += 6
			}
			out.WriteRune(r)
		default:
			out.WriteByte(raw[i])
		}
	}
	return out.String()
}

var states = []string{"unknown", "waiting", "open", "closed", "truncated", "failed", "abandoned", "0", "1", "2", "4", "12", "28", "44"}

// isRTA reads "An entry is RTA's if …".
func (s *session) isRTA(d dump) bool {
	for _, name := range []string{"streamSessionId", "streamName", "streamPosition", "tStart", "tEnd"} {
		if _, ok := s.values[name]; ok {
			return true
		}
	}
	if members := object(s.values["json"]); members != nil {
		var parsed struct{ Identity *string }
		if json.Unmarshal([]byte(s.values["json"]), &parsed) == nil && parsed.Identity != nil && slices.Contains(states, members["state"]) {
			return true
		}
	}
	name, ok := s.values["stream"]
	return ok && d.listed[name]
}

// judge says what is right for each session. Messages with a session's id count
// for the newest of those that share stream and id.
func judge(d dump, s settings) []*session {
	all := sessionsIn(d, s)
	for _, found := range all {
		found.rta = found.values != nil && found.isRTA(d)
		if found.rta {
			found.time = found.readTime(d.now)
		}
	}
	for _, found := range all {
		name := found.stream()
		switch {
		case found.values == nil:
			found.why = "cannot be read"
		case !found.rta:
			found.why = "foreign"
		case found.time == 0:
			found.why = "malformed"
		case s.excluded(name):
			found.why = "another installation's"
		case d.now < found.time || d.now-found.time <= uint64(s.expire.Milliseconds()):
			found.why = "live"
		default:
			found.judgeMessages(d, s, all)
		}
	}
	return all
}

// judgeMessages judges a session whose time is too old. once trims first: where
// that takes the messages that show that the session flows, it may go, and where
// no entry is left, nobody knows and it stays.
func (s *session) judgeMessages(d dump, set settings, all []*session) {
	flowing := flows(d, set, s, all)
	s.fate, s.why = goes, "stale"
	if flowing {
		s.fate, s.why = stays, "flowing"
	} else if s.unsure {
		s.fate = either
	}
	k, sid := d.stream(s.stream()), s.values["streamSessionId"]
	if k == nil || k.kind != "stream" || sid == "" || !isTime(k.last.ms, d.now) {
		return
	}
	since := d.now - uint64(set.expire.Milliseconds())
	switch {
	case k.last.ms < since:
		return
	case len(k.entries) == 0:
		s.fate, s.why = stays, "on an emptied stream"
		return
	case !d.listed[s.stream()] || set.excluded(s.stream()):
		return
	}
	left := k.entries[entriesOf(k, set.policyOf(s.stream()), set.respectGroups, d.now).must:]
	shows := func(e entry) bool { return e.fields["id"] == sid && e.isFresh(since, d.now) }
	if flowing && len(left) > 0 && !slices.ContainsFunc(left, shows) || !flowing && len(left) == 0 {
		s.fate, s.hidden = either, true
	}
}

func (s *session) stream() string {
	if name, ok := s.values["streamName"]; ok {
		return name
	}
	return s.values["stream"]
}

// readTime is 0 if the time is missing, no number or not plausible.
func (s *session) readTime(now uint64) uint64 {
	text, ok := s.values["lastUpdated"]
	if !ok {
		text = s.values["updated"]
	}
	ms, err := strconv.ParseUint(text, 10, 64)
	if exponent, failed := strconv.ParseFloat(text, 64); err != nil && failed == nil && exponent > 0 && exponent < 1<<62 {
		ms, err = uint64(exponent), nil
	}
	if err != nil || !isTime(ms, now) {
		return 0
	}
	return ms
}

func flows(d dump, s settings, found *session, all []*session) bool {
	k, sid := d.stream(found.stream()), found.values["streamSessionId"]
	if k == nil || k.kind != "stream" || sid == "" {
		return false
	}
	for _, other := range all {
		if other != found && other.time > found.time && other.stream() == found.stream() && other.values["streamSessionId"] == sid {
			return false
		}
	}
	since := d.now - uint64(s.expire.Milliseconds())
	return slices.ContainsFunc(k.entries, func(e entry) bool { return e.fields["id"] == sid && e.isFresh(since, d.now) })
}

// isFresh says whether an entry may have come since then: an id that is no time
// does not say when.
func (e entry) isFresh(since, now uint64) bool { return e.id.ms >= since || !isTime(e.id.ms, now) }

// owns says whether a session that stays keeps a stream: it names it, or it is
// malformed and the name occurs in its bytes.
func (s *session) owns(name string) fate {
	switch {
	case s.fate == goes:
		return goes
	case s.hidden, s.fate == either:
		if s.stream() == name {
			return either
		}
		return goes
	case s.why == "foreign":
		return goes
	case s.values != nil && s.time != 0:
		if s.stream() == name {
			return stays
		}
		return goes
	case s.values != nil && s.stream() == name:
		return stays
	}
	// Malformed, or not to be read.
	if !strings.Contains(s.raw, "streamName") {
		return goes
	}
	for _, form := range writings(name) {
		if strings.Contains(s.raw, form) {
			if s.values != nil { // its name can be read and is another
				return either
			}
			return stays
		}
	}
	if s.values == nil {
		return either // escaped in some other way, perhaps
	}
	return goes
}

// writings are the ways in which JSON may have a name.
func writings(name string) []string {
	quoted, _ := json.Marshal(name)
	plain := string(quoted[1 : len(quoted)-1])
	var ascii strings.Builder
	for _, r := range plain {
		switch {
		case r == utf8.RuneError || r < 0x80:
			ascii.WriteRune(r)
		default:
			fmt.Fprintf(&ascii, `\u%04x`, r)
		}
	}
	return []string{name, plain, ascii.String()}
}
