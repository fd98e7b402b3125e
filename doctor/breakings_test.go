package doctor

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/streamkeeper/streamkeeper/buffer"
	"github.com/streamkeeper/streamkeeper/buffer/registry"
	"github.com/streamkeeper/streamkeeper/burst/pb"
	"github.com/streamkeeper/streamkeeper/internal/redisconn"
	"github.com/streamkeeper/streamkeeper/internal/redistest"
	"github.com/streamkeeper/streamkeeper/trim"
)

// breaking is a fault of a buffer, a server or settings, and what is said of it.
type breaking struct {
	check    string
	severity Severity
	// says are parts of the finding.
	says   []string
	layout registry.Layout
	// args are those of the server, if it is not a proper one; empty seeds nothing.
	args  []string
	empty bool
	// counted: it is seen where Redis counts the entries that have gone.
	counted bool
	// expires: it takes a server whose fields of Hashes can expire.
	expires bool
	do      func(f *fixture)
}

func breakings() map[string]breaking {
	all := make(map[string]breaking)
	for _, part := range []map[string]breaking{serverBreakings(), sessionBreakings(), streamBreakings(), messageBreakings(), settingsBreakings()} {
		maps.Copy(all, part)
	}
	return all
}

func serverBreakings() map[string]breaking {
	return map[string]breaking{
		"another database holds the buffer": {check: "database", severity: Warning, says: []string{"there are keys in database 3 (1 key)", "database 0 of "}, empty: true, do: func(f *fixture) {
			conn := f.rdb.Conn()
			defer func() { _ = conn.Close() }()
			_ = must(conn.Select(f.ctx(), 3).Result())
			_ = must(conn.SAdd(f.ctx(), "streams", "car-1").Result())
			_ = must(conn.Select(f.ctx(), 0).Result())
		}},
		"the server is empty": {check: "database", severity: Warning, says: []string{"is it the right server?"}, empty: true},
		"the keys have other names": {check: "database", severity: Warning, says: []string{"which holds 1 key: are STREAMS_KEY"}, empty: true, do: func(f *fixture) {
			f.do("SADD", "our streams", "car-1")
		}},
		"no stream is ours": {check: "database", severity: Warning, says: []string{"2 streams: STREAMS_INCLUDE and STREAMS_EXCLUDE leave none"}, do: func(f *fixture) {
			f.buffer.Include = must(buffer.ParsePatterns("nobody*"))
		}},
		"the server is a replica": {check: "role", severity: Error, says: []string{"is a "}, do: func(f *fixture) {
			host, port, _ := strings.Cut(f.server.Addr, ":")
			replica := f.starts(f.t, properServer()...)
			_ = must(replica.Client.Do(f.ctx(), "REPLICAOF", host, port).Result())
			redistest.Await(f.t, "the data on the replica", func() bool { return replica.Client.Exists(f.ctx(), buffer.CounterKey).Val() > 0 })
			f.buffer.Connection.URL = replica.URL()
		}},
		"rights are missing": {check: "rights", severity: Error, says: []string{"lacks 2 rights: +xtrim +srem"}, do: func(f *fixture) {
			f.under("allkeys", "+@all", "-xtrim", "-srem")
		}},
		"nothing is encrypted on a network": {check: "encryption", severity: Advice, says: []string{"without TLS"}, do: func(f *fixture) {
			_, port, _ := strings.Cut(f.server.Addr, ":")
			f.buffer.Connection = redisconn.Connection{
				URL: "redis://redis.example:" + port, Resolver: redistest.StartDNS(f.t, "127.0.0.1").Resolver(),
			}
		}},
		"the clocks differ": {check: "clock", severity: Warning, says: []string{"differ by 1m"}, do: func(f *fixture) {
			f.doctor.Now = func() time.Time { return time.Now().Add(time.Minute) }
		}},
		"Redis is far away": {check: "round-trip", severity: Warning, do: func(f *fixture) {
			proxy := redistest.StartProxy(f.t, f.server.Addr)
			proxy.Set(func(command []string) redistest.Fault {
				if strings.EqualFold(command[0], "time") {
					return redistest.Fault{Delay: 2 * slowTrip}
				}
				return redistest.Fault{}
			})
			f.buffer.Connection.URL = proxy.URL()
		}},
		"maxmemory is not set": {check: "maxmemory", severity: Warning, args: []string{"--maxmemory", "0"}},
		"streams are evicted":  {check: "eviction", severity: Error, says: []string{"allkeys-lru"}, args: []string{"--maxmemory", "1gb", "--maxmemory-policy", "allkeys-lru"}},
		"sessions are evicted": {check: "eviction", severity: Warning, says: []string{"volatile-ttl"}, args: []string{"--maxmemory", "1gb", "--maxmemory-policy", "volatile-ttl"}},
		"memory is tight": {check: "memory", severity: Warning, says: []string{"used (8"}, do: func(f *fixture) {
			f.do("SETRANGE", "ballast", 30<<20, "x")
			f.do("CONFIG", "SET", "maxmemory", f.usedMemory()*100/86)
		}},
		"streams grow without a limit": {check: "memory", severity: Warning, says: []string{"2 streams without a limit", "is near in"}, do: func(f *fixture) {
			f.doctor.Policies = trim.Policies{}
			f.do("CONFIG", "SET", "maxmemory", 2*f.usedMemory())
		}},
		"macro nodes have no limit": {check: "node-size", severity: Error, do: func(f *fixture) {
			f.do("CONFIG", "SET", "stream-node-max-entries", 0)
			f.do("CONFIG", "SET", "stream-node-max-bytes", 0)
		}},
		"Redis cannot save": {check: "persistence", severity: Error, says: []string{"the last snapshot"}, do: func(f *fixture) {
			if err := os.MkdirAll(filepath.Join(f.server.Dir(), "dump.rdb", "in the way"), 0o700); err != nil {
				f.t.Fatal(err)
			}
			f.do("BGSAVE")
			for deadline := time.Now().Add(20 * time.Second); ; {
				info := must(f.rdb.InfoMap(f.ctx(), "persistence").Result())["Persistence"]
				if info["rdb_last_bgsave_status"] == "err" {
					return
				}
				if time.Now().After(deadline) {
					f.t.Fatal("saving did not fail")
				}
			}
		}},
		"consumers never acknowledge": {check: "group-memory", severity: Advice, says: []string{"[car-1: 50 400 pending entries, about 7.2 MiB]"}, do: func(f *fixture) {
			pipe := f.rdb.Pipeline()
			for n := range 2400 {
				group := fmt.Sprint(n)
				pipe.XGroupCreate(f.ctx(), "stream:car-1", group, "0")
				pipe.Do(f.ctx(), "XREADGROUP", "GROUP", group, "c", "COUNT", 100, "STREAMS", "stream:car-1", ">")
			}
			must(pipe.Exec(f.ctx()))
		}},
		"another trimmer is at work": {check: "other-trimmers", counted: true, severity: Warning, says: []string{"[car-1: 10 of 10 000, and 11 have gone]"}, do: func(f *fixture) {
			f.do("XTRIM", "stream:car-1", "MAXLEN", "10")
		}},
		"a stream that is kept whole is trimmed": {check: "other-trimmers", counted: true, severity: Warning, says: []string{"[car-2: 20 entries, and 1 has gone]"}, do: func(f *fixture) {
			f.doctor.Policies.Rules = must(trim.ParseRules("car-2: keep=all", f.doctor.Policies.Default))
			f.do("XTRIM", "stream:car-2", "MAXLEN", "20")
			f.do("CONFIG", "SET", "maxmemory", "1000gb") // it grows
		}},
		"entries are deleted by themselves": {check: "other-trimmers", counted: true, severity: Advice, says: []string{"some of them by XDEL"}, do: func(f *fixture) {
			first := must(f.rdb.XRangeN(f.ctx(), "stream:car-1", "-", "+", 1).Result())
			f.do("XDEL", "stream:car-1", first[0].ID)
		}},
		"two installations share a state": {check: "instances", severity: Error, says: []string{"2 instances with one STATE_PREFIX", "[north: ", "[south: "}, do: func(f *fixture) {
			f.note(buffer.Instance{Name: "north"}, "n-*")
			f.note(buffer.Instance{Name: "south"}, "s-*")
		}},
		"something is paused": {check: "pauses", severity: Advice, says: []string{"1 pause in force", "trim of streams car-* until ", `, test\\day`}, do: func(f *fixture) {
			o := f.buffer
			o.ReadOnly = false
			b := must(buffer.Open(f.ctx(), o))
			defer func() { _ = b.Close() }()
			must(b.Pause(f.ctx(), buffer.Pause{Job: "trim", Pattern: "car-*", Reason: `test\day`}, time.Hour))
		}},
		"nothing is recorded": {check: "history", severity: Advice, says: []string{"HISTORY_LENGTH=0"}, do: func(f *fixture) {
			f.doctor.HistoryLength = 0
		}},
		"removals could not be recorded": {check: "history", severity: Warning, says: []string{"7 removals of the last week"}, do: func(f *fixture) {
			o := f.buffer
			o.ReadOnly = false
			b := must(buffer.Open(f.ctx(), o))
			defer func() { _ = b.Close() }()
			if err := b.RecordGap(f.ctx(), 7, "out of memory", "pod-1"); err != nil {
				f.t.Fatal(err)
			}
		}},
		"a job does not go well": {check: "jobs-overdue", severity: Warning, says: []string{"[trim: at pod-1, last success 2h ago]"}, do: func(f *fixture) {
			f.note(buffer.Instance{Name: "pod-1", Leads: true, Jobs: []buffer.JobOfInstance{
				{Name: "trim", LastSuccess: f.now.Add(-2 * time.Hour), Overdue: true}, {Name: "cleanup", LastSuccess: f.now},
			}})
		}},
		"nobody leads": {check: "lease", severity: Warning, says: []string{"none holds the lease"}, do: func(f *fixture) {
			f.doctor.Leases = true
			f.note(buffer.Instance{Name: "pod-1"})
		}},
		"the lease is no String": {check: "lease", severity: Error, says: []string{"is a list"}, do: func(f *fixture) {
			f.doctor.Leases = true
			f.do("RPUSH", "streamkeeper:lease", "x")
		}},
		"the lease has no end": {check: "lease", severity: Warning, says: []string{"never end"}, do: func(f *fixture) {
			f.doctor.Leases = true
			f.do("SET", "streamkeeper:lease", "x")
		}},
		"a key of ours is another's": {check: "state-keys", severity: Warning, says: []string{"1 key of ours", "[streamkeeper:retired: a string]"}, do: func(f *fixture) {
			f.do("SET", "streamkeeper:retired", "x")
		}},
	}
}

// removed records that something was removed so long ago.
func (f *fixture) removed(ago time.Duration, action, name string) {
	f.t.Helper()
	f.entries++
	f.do("XADD", "streamkeeper:history", fmt.Sprintf("%d-%d", f.now.Add(-ago).UnixMilli(), f.entries), "a", action, "n", name, "r", "dead", "i", "pod-1")
}

// note notes an instance that works on the streams of these patterns.
func (f *fixture) note(i buffer.Instance, patterns ...string) {
	f.t.Helper()
	o := f.buffer
	o.ReadOnly = false
	for _, pattern := range patterns {
		o.Include = append(o.Include, must(buffer.ParsePattern(pattern)))
	}
	b := must(buffer.Open(f.ctx(), o))
	defer func() { _ = b.Close() }()
	if err := b.NoteInstance(f.ctx(), i); err != nil {
		f.t.Fatal(err)
	}
}

func (f *fixture) usedMemory() int64 {
	info := must(f.rdb.InfoMap(f.ctx(), "memory").Result())
	var used int64
	if _, err := fmt.Sscan(info["Memory"]["used_memory"], &used); err != nil {
		f.t.Fatal(err)
	}
	return used
}

func sessionBreakings() map[string]breaking {
	seconds := func(f *fixture) any { return f.now.Unix() }
	return map[string]breaking{
		"NaN in the value": {check: "session-value", severity: Error, layout: registry.Object, says: []string{"car 1: race", "NaN, which is no JSON"}, do: func(f *fixture) {
			f.do("HSET", "sessions", "car 1: race", fmt.Sprintf(`{"streamSessionId":1,"streamName":"car-1","streamPosition":"0-0","lastUpdated":%d,"tStart":NaN}`, f.now.UnixMilli()))
			f.expireField("car 1: race")
		}},
		"streamName is a list": {check: "session-value", severity: Error, layout: registry.Object, says: []string{"not a text"}, do: func(f *fixture) { f.again(map[string]any{"streamName": []string{"car-1"}}) }},
		"a web application's session": {check: "session-foreign", severity: Advice, says: []string{"0c1f"}, do: func(f *fixture) {
			f.do("HSET", "sessions:0c1f", "user", "ada", "updated", f.now.Unix())
		}},
		"a web application's json": {check: "session-foreign", severity: Advice, says: []string{"2 entries"}, do: func(f *fixture) {
			f.do("HSET", "sessions:0c1f", "json", `{"cart":[1]}`, "updated", f.now.UnixMilli())
			f.do("HSET", "sessions:0c20", "json", `{"state":"open"}`, "updated", f.now.Add(-20*time.Hour).UnixMilli())
		}},
		"a web application's text": {check: "session-foreign", severity: Advice, layout: registry.Object, says: []string{"0c1f"}, do: func(f *fixture) {
			f.do("HSET", "sessions", "0c1f", "not JSON at all")
		}},
		"a web application's fields": {check: "session-foreign", severity: Advice, layout: registry.Fields, says: []string{"2 entries"}, do: func(f *fixture) {
			f.do("HSET", "sessions", "0c1f:user", "ada", "0c1f:updated", f.now.UnixMilli(), "0c1f:json", "no JSON")
		}},
		"a web application's Hash": {check: "session-foreign", severity: Advice, layout: registry.Object, says: []string{"0c1f"}, do: func(f *fixture) {
			f.do("HSET", "sessions", "0c1f", `{"user":"ada","updated":1700000000}`)
		}},
		"no streamPosition":   {check: "session-fields", severity: Error, says: []string{"lacks streamPosition"}, do: func(f *fixture) { f.again(map[string]any{"streamPosition": nil}) }},
		"no time at all":      {check: "session-fields", severity: Error, says: []string{"lacks lastUpdated"}, do: func(f *fixture) { f.again(map[string]any{"lastUpdated": nil}) }},
		"the time in seconds": {check: "session-time", severity: Error, says: []string{"looks like seconds"}, do: func(f *fixture) { f.again(map[string]any{"lastUpdated": seconds(f)}) }},
		"the time in ticks": {check: "session-time", severity: Error, says: []string{"looks like .NET ticks"}, do: func(f *fixture) {
			f.again(map[string]any{"lastUpdated": int64(621_355_968_000_000_000) + f.now.UnixNano()/100})
		}},
		"the time as text":      {check: "session-time", severity: Error, says: []string{"2026-05-31T14:00:00Z", "not a time in milliseconds"}, do: func(f *fixture) { f.again(map[string]any{"lastUpdated": "2026-05-31T14:00:00Z"}) }},
		"no time, but a zero":   {check: "session-time", severity: Error, says: []string{`"0"`}, do: func(f *fixture) { f.again(map[string]any{"lastUpdated": 0}) }},
		"the time in ns":        {check: "session-time", severity: Error, says: []string{"looks like nanoseconds"}, do: func(f *fixture) { f.again(map[string]any{"lastUpdated": f.now.UnixNano()}) }},
		"NaN as the time":       {check: "session-time", severity: Error, says: []string{"nan"}, do: func(f *fixture) { f.again(map[string]any{"lastUpdated": "nan"}) }},
		"the time's other name": {check: "session-time-name", severity: Advice, says: []string{"updated"}, do: func(f *fixture) { f.again(map[string]any{"lastUpdated": nil, "updated": f.now.UnixMilli()}) }},
		"an id that is a text": {check: "session-id", severity: Error, says: []string{`"car-1"`}, do: func(f *fixture) {
			f.entry("other", "car-1", "closed", "car-1", nil)
		}},
		"a stream that nobody lists": {check: "session-stream", severity: Error, says: []string{`"car-9"`}, do: func(f *fixture) {
			f.do("SET", buffer.CounterKey, 3)
			f.messages("car-9", "other", "closed", 3, f.now)
			f.entry("other", "car-9", "closed", 3, nil)
		}},
		"names of odd bytes": {check: "session-stream", severity: Error, says: []string{`[od\\d: stream "no \\list\xff\x01"]`}, do: func(f *fixture) {
			f.entry(`od\d`, "no \\list\xff\x01", "closed", 2, nil)
		}},
		"an identity of odd bytes": {check: "session-identity", severity: Error, says: []string{`identity "car\\7\x1b"`}, do: func(f *fixture) {
			f.again(map[string]any{"json": sessionText("car\\7\x1b", "open")})
		}},
		"a position of odd bytes":      {check: "session-position", severity: Error, says: []string{`[car 1: race: "\\\xff"]`}, do: func(f *fixture) { f.again(map[string]any{"streamPosition": "\\\xff"}) }},
		"a streamName with the prefix": {check: "session-prefix", severity: Error, says: []string{`"stream:car-1"`}, do: func(f *fixture) { f.again(map[string]any{"streamName": "stream:car-1"}) }},
		"a position that is none":      {check: "session-position", severity: Error, says: []string{"$"}, do: func(f *fixture) { f.again(map[string]any{"streamPosition": "$"}) }},
		"tEnd without tStart":          {check: "session-range", severity: Error, says: []string{"tEnd without tStart"}, do: func(f *fixture) { f.again(map[string]any{"tStart": nil}) }},
		"NaN as tStart":                {check: "session-range", severity: Error, says: []string{`tStart "NaN" is no whole number`}, do: func(f *fixture) { f.again(map[string]any{"tStart": "NaN"}) }},
		"tStart in milliseconds":       {check: "session-range", severity: Error, says: []string{"looks like milliseconds"}, do: func(f *fixture) { f.again(map[string]any{"tStart": f.start().UnixMilli()}) }},
		"tEnd before tStart":           {check: "session-range", severity: Error, says: []string{"is before tStart"}, do: func(f *fixture) { f.again(map[string]any{"tEnd": f.start().Add(-time.Hour).UnixNano()}) }},
		"no Session JSON":              {check: "session-json", severity: Warning, do: func(f *fixture) { f.again(map[string]any{"json": nil}) }},
		"Session JSON cut off":         {check: "session-json-valid", severity: Error, do: func(f *fixture) { f.again(map[string]any{"json": `{"identity":"car 1`}) }},
		"another identity":             {check: "session-identity", severity: Error, says: []string{`"car 7"`}, do: func(f *fixture) { f.again(map[string]any{"json": sessionText("car 7", "open")}) }},
		"an unknown state":             {check: "session-state", severity: Error, says: []string{"running"}, do: func(f *fixture) { f.again(map[string]any{"json": sessionText("car 1: race", "running")}) }},
		"fields without an end": {check: "session-expiry", expires: true, severity: Advice, layout: registry.Object, says: []string{"2 sessions that would stay for ever"}, do: func(f *fixture) {
			f.lasting = true
			f.do("DEL", "sessions")
			f.entry("car 1: race", "car-1", "open", 1, nil)
			f.entry("car 2: race", "car-2", "closed", 2, nil)
		}},
		"no time to live": {check: "session-expiry", severity: Advice, do: func(f *fixture) { f.do("PERSIST", "sessions:car 1: race") }},
		"updated once, at the start": {check: "session-updated", severity: Warning, says: []string{"last update 13h ago"}, do: func(f *fixture) {
			f.again(map[string]any{"lastUpdated": f.now.Add(-13 * time.Hour).UnixMilli()})
		}},
		"never closed, on a stream of its own": {check: "session-closed", severity: Warning, says: []string{"open, last update 13h ago"}, do: func(f *fixture) {
			f.do("SET", buffer.CounterKey, 3)
			f.list("car-3")
			f.messages("car-3", "other", "open", 3, f.now.Add(-13*time.Hour))
			f.entry("other", "car-3", "open", 3, map[string]any{"lastUpdated": f.now.Add(-13 * time.Hour).UnixMilli()})
		}},
		"never closed, on a stream of others": {check: "session-closed", severity: Warning, do: func(f *fixture) {
			f.do("SET", buffer.CounterKey, 3)
			f.entry("other", "car-1", "open", 3, map[string]any{"lastUpdated": f.now.Add(-13 * time.Hour).UnixMilli()})
		}},
		"messages with another id": {check: "session-messages", severity: Warning, says: []string{"has id 3"}, do: func(f *fixture) {
			f.do("SET", buffer.CounterKey, 3)
			f.entry("other", "car-1", "open", 3, nil)
		}},
		"no message ever": {check: "session-messages", severity: Warning, says: []string{"never had one"}, do: func(f *fixture) {
			f.do("SET", buffer.CounterKey, 3)
			f.list("car-3")
			f.entry("other", "car-3", "open", 3, nil)
		}},
		"two sessions with one id": {check: "session-twins", severity: Error, says: []string{`"car 1: race" and "other"`}, do: func(f *fixture) {
			f.entry("other", "car-1", "closed", 1, nil)
		}},
		"the counter is behind":   {check: "counter-behind", severity: Error, says: []string{"is 1, and session", "has the id 2"}, do: func(f *fixture) { f.do("SET", buffer.CounterKey, 1) }},
		"the counter is missing":  {check: "counter-behind", severity: Error, says: []string{"is missing"}, do: func(f *fixture) { f.do("DEL", buffer.CounterKey) }},
		"the counter is no count": {check: "counter-number", severity: Error, says: []string{`"two"`}, do: func(f *fixture) { f.do("SET", buffer.CounterKey, "two") }},
		"the counter is a list": {check: "counter-number", severity: Error, do: func(f *fixture) {
			f.do("DEL", buffer.CounterKey)
			f.do("RPUSH", buffer.CounterKey, "1")
		}},
	}
}

func streamBreakings() map[string]breaking {
	return map[string]breaking{
		"a listed String": {check: "stream-type", severity: Error, says: []string{"[odd: a string]"}, do: func(f *fixture) {
			f.list("odd")
			f.do("SET", "stream:odd", "x")
		}},
		"a name without a stream": {check: "stream-missing", severity: Advice, says: []string{"[ghost: ]"}, do: func(f *fixture) { f.list("ghost") }},
		"a key instead of a name": {check: "stream-prefix", severity: Error, says: []string{"stream:car-1"}, do: func(f *fixture) { f.list("stream:car-1") }},
		"a stream that is not listed": {check: "stream-unlisted", severity: Warning, says: []string{"[hidden: ]"}, do: func(f *fixture) {
			f.append("hidden", f.now, "a", "b")
		}},
		"ids that count": {check: "stream-ids", severity: Warning, says: []string{"last id 7-1"}, do: func(f *fixture) {
			f.list("counted")
			f.do("XADD", "stream:counted", "7-1", "id", 1, "data", f.payload("car 1: race", "open", f.now, true))
		}},
		"a stream for each session": {check: "stream-churn", counted: true, severity: Advice, says: []string{"14 streams came within a day, and 3 were retired within a week"}, do: func(f *fixture) {
			f.do("SET", buffer.CounterKey, 20)
			for id := 3; id <= 14; id++ {
				stream, identity := fmt.Sprintf("car-%d", id), fmt.Sprintf("car %d: race", id)
				f.list(stream)
				f.messages(stream, identity, "open", id, f.now)
				f.entry(identity, stream, "open", id, nil)
			}
			f.removed(8*24*time.Hour, "retire", "old")
			for _, stream := range []string{"x", "y", "z"} {
				f.removed(6*24*time.Hour, "retire", stream)
			}
		}},
		"eleven sessions on one stream": {check: "stream-shared", severity: Advice, says: []string{"11 sessions"}, do: func(f *fixture) {
			f.do("SET", buffer.CounterKey, 20)
			for id := 11; id <= 20; id++ {
				identity := fmt.Sprintf("guest %d", id)
				f.append("car-1", f.now, "id", id, "data", f.payload(identity, "open", f.now, true))
				f.entry(identity, "car-1", "open", id, nil)
			}
		}},
	}
}

func messageBreakings() map[string]breaking {
	later := func(f *fixture) time.Time { return f.now.Add(spacing) }
	return map[string]breaking{
		"no data": {check: "message-fields", severity: Error, says: []string{"car-1 "}, do: func(f *fixture) { f.append("car-1", later(f), "id", 1) }},
		"no id": {check: "message-fields", severity: Error, says: []string{"no field id"}, do: func(f *fixture) {
			f.append("car-1", later(f), "data", f.payload("car 1: race", "open", f.now, true))
		}},
		"data that is no LZ4": {check: "message-valid", severity: Error, do: func(f *fixture) {
			f.append("car-1", later(f), "id", 1, "data", bytes.Repeat([]byte("telemetry "), 100))
		}},
		"a time range that is reversed": {check: "message-advice", severity: Warning, do: func(f *fixture) {
			b := &pb.StreamDataBurst{Data: []*pb.StreamData{rangeData(f.now, f.start())}}
			for channel := range 40 {
				b.Data = append(b.Data, periodicData(uint32(channel), f.now, spacing))
			}
			f.append("car-1", later(f), "id", 1, "data", f.pack(b))
		}},
		"an id that no session has": {check: "message-session", severity: Warning, says: []string{"id 77"}, do: func(f *fixture) {
			f.append("car-1", later(f), "id", 77, "data", f.payload("car 77", "open", f.now, true))
		}},
		"a burst over 1 MiB": {check: "message-limit", severity: Error, says: []string{"1.2 MiB"}, do: func(f *fixture) {
			b := &pb.StreamDataBurst{}
			for channel := range 3000 {
				b.Data = append(b.Data, periodicData(uint32(channel), f.now, spacing))
			}
			f.append("car-1", later(f), "id", 1, "data", f.pack(b))
		}},
		"small bursts": {check: "message-size", severity: Advice, says: []string{"[tiny: small: "}, do: func(f *fixture) {
			f.smallSession("tiny", spacing)
		}},
		"a hundred messages a second": {check: "message-rate", severity: Advice, says: []string{"[busy: 100 a second"}, do: func(f *fixture) {
			f.do("SET", buffer.CounterKey, 3)
			f.list("busy")
			for n := range 30 {
				f.append("busy", f.now.Add(time.Duration(n)*10*time.Millisecond), "id", 3, "data", f.payload("busy one", "open", f.now, true))
			}
			f.entry("busy one", "busy", "open", 3, nil)
		}},
	}
}

// smallSession adds a session whose bursts hold little.
func (f *fixture) smallSession(stream string, every time.Duration) {
	f.t.Helper()
	f.do("SET", buffer.CounterKey, 3)
	f.list(stream)
	for n := range 30 {
		b := &pb.StreamDataBurst{Data: []*pb.StreamData{f.sessionData("small one", "open"), periodicData(1, f.now, spacing)}}
		f.append(stream, f.now.Add(time.Duration(n)*every), "id", 3, "data", f.pack(b))
	}
	f.entry("small one", stream, "open", 3, nil)
}

// largeSession adds a session that sends some 600 KiB a second.
func (f *fixture) largeSession(stream string) {
	f.t.Helper()
	f.do("SET", buffer.CounterKey, 3)
	f.list(stream)
	burst := f.noise(f.now, 60<<10)
	for n := 99; n >= 0; n-- {
		f.append(stream, f.now.Add(-time.Duration(n)*spacing), "id", 3, "data", burst)
	}
	f.entry("large one", stream, "open", 3, nil)
}

func settingsBreakings() map[string]breaking {
	return map[string]breaking{
		"a rule for nobody": {check: "policy-unused", severity: Warning, says: []string{"rocket-*"}, do: func(f *fixture) {
			f.doctor.Policies.Rules = must(trim.ParseRules("rocket-*: max_length=500; car-*: max_length=20000", f.doctor.Policies.Default))
		}},
		"a limit below the flush gap": {check: "flush-gap", severity: Warning, says: []string{"TRIM_MIN_AGE is 20m"}, do: func(f *fixture) {
			f.doctor.Policies.Default = trim.Policy{MaxLength: 30, MinAge: 20 * time.Minute}
		}},
		"a limit of memory below the flush gap": {check: "flush-gap", severity: Warning, says: []string{"[car-1: 4.0 KiB are ", "TRIM_MIN_AGE is 20m"}, do: func(f *fixture) {
			f.doctor.Policies.Default = trim.Policy{MaxLength: 1_000_000, MaxBytes: 4 << 10, MinAge: 20 * time.Minute}
		}},
		"memory for less than any policy allows": {check: "retention-afforded", severity: Warning, says: []string{"affordable is less than 1m; the sum:"}, do: func(f *fixture) {
			f.doctor.Policies.Default.MaxLength = 100_000_000
			f.largeSession("large")
			f.do("CONFIG", "SET", "maxmemory", 2*f.usedMemory())
		}},
		"memory for less than storage needs": {check: "retention-afforded", severity: Warning, says: []string{"affordable is 5m, less than TRIM_MIN_AGE (20m); the sum:"}, do: func(f *fixture) {
			f.doctor.Policies.Default = trim.Policy{MaxLength: 100_000_000, MinAge: 20 * time.Minute}
			f.largeSession("large")
			f.do("CONFIG", "SET", "maxmemory", "250mb")
		}},
		"a limit of seconds": {check: "coverage", severity: Warning, says: []string{"2s in 20 entries"}, do: func(f *fixture) {
			f.doctor.Policies.Default.MaxLength = 20
			f.do("XTRIM", "stream:car-1", "MAXLEN", "20")
		}},
		"a group that does not read": {check: "trim-blocked", severity: Warning, says: []string{`"archive" still needs`}, do: func(f *fixture) {
			f.doctor.RespectGroups, f.doctor.GroupIdleAfter = true, time.Hour
			f.doctor.Policies.Default.MaxLength = 10
			f.do("XGROUP", "CREATE", "stream:car-1", "archive", "0")
		}},
		"limits that the memory does not afford": {check: "retention-afforded", severity: Warning, says: []string{"TRIM_POLICIES='*: max_age=", "the sum:"}, do: func(f *fixture) {
			f.doctor.Policies.Default.MaxLength = 100_000_000
			f.do("CONFIG", "SET", "maxmemory", 2*f.usedMemory())
		}},
	}
}
