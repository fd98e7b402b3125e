package model

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"time"
)

// scenario is one random case: what lies in Redis, and under which settings
// streamkeeper runs.
type scenario struct {
	seed     uint64
	settings settings
	commands [][]any
}

// maker makes a scenario.
type maker struct {
	*rand.Rand
	now      time.Time
	streams  []string
	sids     map[string]int // the id of a stream's messages
	scenario scenario
}

var oddNames = []string{
	"car", "rocket 1", "a:b", "glob*[x]?", "in\xffvalid", `quo"te'`, "x:json", "x:lastUpdated", "ünï", "new\nline", `back\slash`, "", "a",
	"*", "streams", "stream:car", "日本", "tab\tname", "{tag}", "x", "%s", "carrier",
}

// make makes the scenario of a seed; ages count from now.
func makeScenario(seed uint64, now time.Time) scenario {
	m := &maker{Rand: rand.New(rand.NewPCG(seed, 14)), now: now, sids: make(map[string]int)}
	m.scenario.seed = seed
	m.streams = m.some(oddNames, 2+m.IntN(6))
	for i, name := range m.streams {
		m.sids[name] = i + 1
	}
	m.makeSettings()
	m.run("SET", "lastStreamSessionId", 1000)
	for _, name := range m.streams {
		m.makeStream(name)
	}
	for range m.IntN(4) {
		m.run("SADD", "streams", fmt.Sprint("without key ", m.IntN(3)))
	}
	for range m.IntN(10) {
		m.makeSession()
	}
	if m.chance(0.1) {
		m.run("DEL", "streams")
	}
	return m.scenario
}

func (m *maker) run(args ...any) { m.scenario.commands = append(m.scenario.commands, args) }

func (m *maker) chance(p float64) bool { return m.Float64() < p }

// some are n different ones.
func (m *maker) some(all []string, n int) []string {
	all = slices.Clone(all)
	m.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	return all[:min(n, len(all))]
}

func pick[T any](m *maker, all ...T) T { return all[m.IntN(len(all))] }

func (m *maker) makePolicy() policy {
	p := policy{
		length: pick(m, 0, 3, 10, 50, 100, 300),
		age:    pick(m, 0, 0, 10*time.Minute, time.Hour, 30*time.Hour),
		minAge: pick(m, 0, 0, 0, 5*time.Minute, 90*time.Minute),
		exact:  m.chance(0.4),
	}
	if p.age > 0 {
		p.minAge = min(p.minAge, p.age)
	}
	return p
}

func (m *maker) makeSettings() {
	s := &m.scenario.settings
	s.policy = m.makePolicy()
	for s.policy.length == 0 && s.policy.age == 0 {
		s.policy = m.makePolicy()
	}
	for _, name := range m.some(m.streams, m.IntN(3)) {
		if name == "" || name == "*" {
			continue
		}
		p := m.makePolicy()
		if p.length == 0 && p.age == 0 || m.chance(0.2) {
			p = policy{keepAll: true}
		}
		s.rules = append(s.rules, rule{name, p})
	}
	s.respectGroups = m.chance(0.5)
	s.expire = pick(m, 24*time.Hour, 2*time.Hour)
	s.retire = pick(m, 24*time.Hour, 3*time.Hour)
	s.brakeOff = m.chance(0.7)
	if name := m.streams[0]; m.chance(0.2) && !strings.ContainsAny(name, `*[?\", `+"\n\t") && name != "" {
		s.exclude = name
	}
	if m.chance(0.2) {
		s.layouts = m.some([]string{"keys", "object", "fields"}, 1+m.IntN(2))
	}
}

// environment is how the program is told.
func (s settings) environment() []string {
	var rules []string
	for _, r := range s.rules {
		text := strconv.Quote(r.name) + ": "
		if r.keepAll {
			text += "keep=all"
		} else {
			text += fmt.Sprintf("max_length=%d, max_age=%s, min_age=%s, exact=%t", r.length, r.age, r.minAge, r.exact)
		}
		rules = append(rules, text)
	}
	all := map[string]any{
		"TRIM_MAX_LENGTH": s.policy.length, "TRIM_MAX_AGE": s.policy.age, "TRIM_MIN_AGE": s.policy.minAge, "TRIM_EXACT": s.policy.exact,
		"TRIM_POLICIES": strings.Join(rules, "; "), "TRIM_ALLOW_TINY": true, "TRIM_RESPECT_GROUPS": s.respectGroups,
		"CLEANUP_EXPIRE_AFTER": s.expire, "CLEANUP_RETIRE_AFTER": s.retire, "SESSIONS_LAYOUT": strings.Join(s.layouts, ","),
		"INSPECT_ENABLED": false,
	}
	if s.brakeOff {
		all["CLEANUP_BRAKE"] = 1
	}
	if s.exclude != "" {
		all["STREAMS_EXCLUDE"] = s.exclude
	}
	var env []string
	for name, value := range all {
		if text := fmt.Sprint(value); text != "" {
			env = append(env, "STREAMKEEPER_"+name+"="+text)
		}
	}
	return env
}

// limits are the ages at which something is decided: nothing is so near to one
// that a slow machine would change the outcome.
func (m *maker) limits() []time.Duration {
	s := m.scenario.settings
	all := []time.Duration{s.expire, s.retire, s.policy.age, s.policy.minAge, 0, -24 * time.Hour}
	for _, r := range s.rules {
		all = append(all, r.age, r.minAge)
	}
	return all
}

const margin = 3 * time.Minute

// at is the time so long ago, in ms, moved away from the limits.
func (m *maker) at(ago time.Duration) int64 {
	limits := m.limits()
	slices.Sort(limits)
	for _, limit := range limits {
		if ago > limit-margin && ago < limit+margin {
			ago = limit + margin
		}
	}
	return m.now.Add(-ago).UnixMilli()
}

// makeStream writes a stream, or something else at its key.
func (m *maker) makeStream(name string) {
	key := "stream:" + name
	if m.chance(0.9) {
		m.run("SADD", "streams", name)
	}
	switch m.IntN(20) {
	case 0:
		m.run("HSET", key, "a", 1)
		return
	case 1:
		m.run("XGROUP", "CREATE", key, "g", "$", "MKSTREAM")
		return
	case 2:
		return
	}
	ids := m.ids()
	switches := m.IntN(3)
	for i, id := range ids {
		if i == 0 || switches > 0 && m.chance(0.02) {
			switches--
			m.run("CONFIG", "SET", "stream-node-max-entries", pick(m, 100, 100, 10, 3, 0, 1000))
			m.run("CONFIG", "SET", "stream-node-max-bytes", pick(m, 4096, 4096, 200, 0))
		}
		m.run("XADD", key, id, "id", m.sids[name], "data", strings.Repeat("x", pick(m, 1, 30, 30, 500)))
	}
	m.makeGroups(name, ids)
	for _, id := range ids {
		if m.chance(0.05) {
			m.run("XDEL", key, id)
		}
	}
	m.run("CONFIG", "SET", "stream-node-max-entries", 100)
	m.run("CONFIG", "SET", "stream-node-max-bytes", 4096)
	switch m.IntN(30) {
	case 0:
		m.run("DEL", key)
	case 1:
		m.run("XTRIM", key, "MAXLEN", 0)
	case 2, 3:
		m.run("XSETID", key, fmt.Sprintf("%d-0", m.now.Add(1000*time.Hour).UnixMilli()))
	}
}

// ids are those of a stream's entries.
func (m *maker) ids() []string {
	n := pick(m, 1, 5, 30, 90, 150, 400)
	if m.chance(0.05) { // no times at all
		var ids []string
		for i := range n {
			ids = append(ids, fmt.Sprintf("%d-%d", 1+i/3, i%3))
		}
		return ids
	}
	newest := pick(m, 4*time.Minute, time.Hour, 5*time.Hour, 20*time.Hour, 30*time.Hour, 100*time.Hour)
	span := pick(m, time.Second, 2*time.Hour, 40*time.Hour)
	var ids []string
	last := int64(-1)
	seq := 0
	for i := range n {
		ago := newest
		if n > 1 {
			ago += span * time.Duration(n-1-i) / time.Duration(n-1)
		}
		ms := m.at(ago)
		if ms <= last {
			ms = last
			seq++
		} else {
			seq = m.IntN(3)
		}
		last = ms
		ids = append(ids, fmt.Sprintf("%d-%d", ms, seq))
	}
	return ids
}

func (m *maker) makeGroups(name string, ids []string) {
	key := "stream:" + name
	for i := range pick(m, 0, 0, 0, 1, 2) {
		group := fmt.Sprint("g", i)
		m.run("XGROUP", "CREATE", key, group, pick(m, "0", "$", ids[m.IntN(len(ids))]))
		if m.chance(0.3) { // without consumers, and perhaps known to be so for a while
			if m.chance(0.5) {
				since := m.now.Add(-pick(m, 30*time.Minute, 2*time.Hour, 30*time.Hour, 100*time.Hour))
				m.run("ZADD", groupNotes, since.UnixMilli(), groupNote(name, group))
			}
			continue
		}
		m.run("XREADGROUP", "GROUP", group, "c", "COUNT", 1+m.IntN(len(ids)), "STREAMS", key, ">")
		for _, id := range ids {
			switch {
			case m.chance(0.6):
				m.run("XACK", key, group, id)
			case m.chance(0.05):
				m.run("XDEL", key, id) // a pending id without an entry
			}
		}
	}
}

// makeSession writes a session in some layout and state.
func (m *maker) makeSession() {
	layout := pick(m, "keys", "object", "fields")
	identity := fmt.Sprint(pick(m, oddNames...), pick(m, "", " #", "/")+fmt.Sprint(m.IntN(30)))
	if m.chance(0.1) {
		identity = pick(m, oddNames...)
	}
	stream := pick(m, m.streams...)
	if m.chance(0.1) {
		stream = fmt.Sprint("elsewhere ", m.IntN(3))
	}
	ms := m.at(time.Duration(m.IntN(1000)) * time.Second)
	old := m.at(m.scenario.settings.expire + 10*time.Minute + time.Duration(m.IntN(100_000))*time.Second)
	if m.chance(0.6) {
		ms = old
	}
	sid := strconv.Itoa(m.sids[stream])
	if m.chance(0.5) {
		sid = strconv.Itoa(100 + m.IntN(1000))
	}
	values := map[string]any{
		"streamSessionId": sid, "streamName": stream, "streamPosition": "0-0", "lastUpdated": strconv.FormatInt(ms, 10),
		"json": m.sessionJSON(identity),
	}
	m.spoil(values, ms, old)
	m.write(layout, identity, values)
}

func (m *maker) sessionJSON(identity string) string {
	state := pick[any](m, 2, "open", 4, "closed", 44, "truncated")
	text, _ := json.Marshal(map[string]any{"identity": strings.ToValidUTF8(identity, "?"), "state": state})
	return string(text)
}

// spoil makes of a good session one that is not quite.
func (m *maker) spoil(values map[string]any, ms, old int64) {
	switch m.IntN(16) {
	case 0:
		values["lastUpdated"] = strconv.FormatInt(pick(m, ms, old)/1000, 10)
	case 1:
		values["lastUpdated"] = pick(m, "0", "-5", "soon", "", "1e12", strconv.FormatInt(ms*1000, 10), strconv.FormatInt(m.now.Add(40*time.Hour).UnixMilli(), 10))
	case 2:
		delete(values, "lastUpdated")
	case 3:
		values["updated"] = values["lastUpdated"]
		delete(values, "lastUpdated")
	case 4:
		delete(values, "json")
		if m.chance(0.5) {
			delete(values, "streamPosition")
		}
	case 5, 6: // a web application's
		clear(values)
		values["user"], values["updated"] = "bob", strconv.FormatInt(old, 10)
		if m.chance(0.3) {
			values["json"] = pick(m, `{"identity":"x"}`, `{"state":"open"}`, `{"identity":7,"state":"open"}`, `[]`, `{"identity":"x","state":"bogus"}`)
		}
	case 7: // what a closing update leaves after an expiry
		text := values["json"]
		clear(values)
		values["json"], values["updated"] = text, strconv.FormatInt(old, 10)
	case 8:
		values["tStart"], values["tEnd"] = "1700000000000000000", "1700000001000000000"
	}
}

// write writes a session; those in the object layout may be broken in ways that
// only JSON can be.
func (m *maker) write(layout, identity string, values map[string]any) {
	switch layout {
	case "keys":
		args := []any{"HSET", "sessions:" + identity}
		for _, name := range sorted(values) {
			args = append(args, name, values[name])
		}
		m.run(args...)
	case "fields":
		args := []any{"HSET", "sessions"}
		for _, name := range sorted(values) {
			args = append(args, identity+":"+name, values[name])
		}
		m.run(args...)
	default:
		m.run("HSET", "sessions", identity, m.object(values))
	}
}

func sorted(values map[string]any) []string {
	var names []string
	for name := range values {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// object writes a JSON object as producers of several languages do.
func (m *maker) object(values map[string]any) string {
	bare := m.chance(0.5) // numbers as numbers
	nested := m.chance(0.3)
	var members []string
	for _, name := range sorted(values) {
		text := fmt.Sprint(values[name])
		raw := quoteJSON(text, m.chance(0.5))
		_, err := strconv.ParseInt(text, 10, 64)
		if bare && err == nil && name != "streamName" || nested && name == "json" && json.Valid([]byte(text)) {
			raw = text
		}
		members = append(members, quoteJSON(name, false)+":"+raw)
	}
	m.Shuffle(len(members), func(i, j int) { members[i], members[j] = members[j], members[i] })
	if m.chance(0.1) {
		i := m.IntN(len(members) + 1)
		members = slices.Insert(members, i, pick(m, `"tStart":NaN`, `"tStart":Infinity`, `"live":True`, `"lastUpdated":+5`, `"x":"\ud800"`))
	}
	text := "{" + strings.Join(members, ",") + "}"
	switch m.IntN(30) {
	case 0:
		return "\ufeff" + text
	case 1:
		return quoteJSON(text, false)
	case 2:
		return "[" + text + "]"
	case 3:
		return "/* ours */ " + text
	case 4:
		return text[:len(text)/2]
	}
	return text
}

// quoteJSON quotes text and keeps its bytes; ascii escapes letters as Python
// does.
func quoteJSON(text string, ascii bool) string {
	var out strings.Builder
	out.WriteByte('"')
	for i := 0; i < len(text); {
		r, size := decode(text[i:])
		switch {
		case size == 1 && (r == '"' || r == '\\'):
			out.WriteByte('\\')
			out.WriteByte(text[i])
		case size == 1 && r < ' ':
			fmt.Fprintf(&out, `\u%04x`, r)
		case size > 1 && ascii && r < 0x10000:
			fmt.Fprintf(&out, `\u%04x`, r)
		default:
			out.WriteString(text[i : i+size])
		}
		i += size
	}
	out.WriteByte('"')
	return out.String()
}
