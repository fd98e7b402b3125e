package buffer

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/streamkeeper/streamkeeper/buffer/registry"
	"github.com/streamkeeper/streamkeeper/internal/escape"
	"github.com/streamkeeper/streamkeeper/internal/redisconn"
)

// Uses say what of the buffer is used, for [Uses.Rule].
type Uses struct {
	// Job says that any job is done, be it one that needs no right of its own.
	Job bool
	// Trim, Cleanup and Inspect are the jobs that do; Serve is the daemon itself with
	// its metrics, and Lease that one of several replicas works.
	Trim, Cleanup, Inspect, Serve, Lease bool
	// Groups has trimming respect consumer groups.
	Groups bool
	// Pressure has trimming look at the server's memory.
	Pressure bool
	// Scan has clean-up look for streams that are not listed.
	Scan bool
	// Abandon has clean-up mark quiet sessions as abandoned.
	Abandon bool
	// History has removals recorded.
	History bool
	// Undo has copies kept of expired sessions, which undo puts back.
	Undo bool
	// Layouts that sessions are looked for in; none means all.
	Layouts []registry.Layout
	Names   Names
	// Sentinels and Database are known from the connection. Cluster means that
	// there may be one: a single URL may name any node of it.
	Cluster   bool
	Sentinels bool
	Database  bool
	// Number is that of the database.
	Number int
	// ReadOnly leaves out what changes anything, for the commands that only read.
	ReadOnly bool
}

// OnlyReading is what plan, explain, history, doctor and inspect use: whatever the
// jobs look at, whether they are enabled or not, and for the doctor the counter
// and what daemons note of themselves.
func (u Uses) OnlyReading() Uses {
	u.ReadOnly, u.Serve, u.History = true, false, true
	u.Job, u.Trim, u.Cleanup, u.Inspect = true, true, true, true
	return u
}

// right is a word of an ACL rule and what it is for.
type right struct {
	word string
	when func(Uses) bool
}

// anyJob: what all jobs need, and the daemon itself.
func (u Uses) anyJob() bool    { return u.Job || u.Serve }
func (u Uses) trims() bool     { return u.Trim }
func (u Uses) cleans() bool    { return u.Cleanup }
func (u Uses) scans() bool     { return u.Cleanup && u.Scan }
func (u Uses) groups() bool    { return u.Trim && u.Groups }
func (u Uses) remembers() bool { return u.Cleanup || u.groups() }
func (u Uses) presses() bool   { return u.Trim && u.Pressure }
func (u Uses) marks() bool     { return u.Cleanup && u.Abandon }
func (u Uses) evals() bool     { return u.anyJob() || u.Lease }
func (u Uses) leads() bool     { return u.Serve && u.Lease }
func (u Uses) serves() bool    { return u.Serve }
func (u Uses) looksUp() bool   { return u.Cleanup || u.Serve }

// shows: the page says what was removed.
func (u Uses) shows() bool    { return u.Serve && u.History }
func (u Uses) notes() bool    { return u.Trim || u.Cleanup }
func (u Uses) measures() bool { return u.Trim || u.Cleanup || u.Inspect }
func (u Uses) examines() bool { return u.ReadOnly }
func (u Uses) records() bool  { return u.History && (u.Cleanup || u.Trim) }
func (u Uses) sums() bool     { return u.History && u.Trim }
func (u Uses) copies() bool   { return u.Undo && u.Cleanup && !u.ReadOnly }
func (u Uses) moves() bool    { return u.copies() && u.ownKeys() }
func (u Uses) copiesHash() bool {
	return u.copies() && u.sessions().Hash
}
func (u Uses) holds() bool { return u.Lease && (u.Serve || u.ReadOnly) }

// sessions are what the registry asks for.
func (u Uses) sessions() registry.Access {
	return registry.AccessOf(u.Names.Sessions, u.Layouts, registry.Use{Read: u.Cleanup || u.Inspect, Remove: u.Cleanup && !u.ReadOnly})
}

// ownKeys: sessions may have keys of their own.
func (u Uses) ownKeys() bool { return len(u.sessions().KeyPrefixes) > 0 }

// rights are all that is needed beside the registry's, in words that Redis 6.2 takes. EVAL_RO is
// none of them: it came with 7.0.
var rights = []right{
	{"+multi", Uses.anyJob},
	{"+discard", Uses.anyJob},
	{"+select", func(u Uses) bool { return u.Database }},
	{"+cluster|slots", func(u Uses) bool { return u.Cluster }},
	{"+asking", func(u Uses) bool { return u.Cluster }},
	{"+ping", func(u Uses) bool { return u.Serve }},
	{"+info", func(u Uses) bool { return u.Serve || u.presses() || u.marks() || u.examines() || u.copies() }},
	{"+config|get", Uses.trims},
	{"+time", Uses.anyJob},
	{"+eval", Uses.evals},
	{"+evalsha", Uses.evals},
	{"+sscan", Uses.anyJob},
	{"+type", Uses.evals},
	{"+xinfo|stream", Uses.anyJob},
	{"+xinfo|groups", Uses.anyJob},
	{"+xinfo|consumers", Uses.anyJob},
	{"+xlen", Uses.anyJob},
	{"+xrange", Uses.measures},
	{"+xrevrange", func(u Uses) bool { return u.Cleanup || u.Inspect || u.records() || u.shows() }},
	{"+memory|usage", Uses.measures},
	{"+xtrim", Uses.notes},
	{"+xpending", Uses.anyJob},
	{"+xadd", func(u Uses) bool { return u.marks() || u.records() || u.copiesHash() }},
	// A gap in the history grows, and what was put back is no copy any more.
	{"+xdel", func(u Uses) bool { return u.records() || u.copiesHash() }},
	{"+scan", func(u Uses) bool { return u.scans() || u.examines() }},
	{"+exists", Uses.cleans},
	{"+rename", Uses.moves},
	{"+unlink", Uses.cleans},
	// A plan of more than a million expired sessions asks which are there.
	{"+hexists", func(u Uses) bool { return u.examines() && u.sessions().Hash }},
	{"+scard", Uses.cleans},
	{"+smismember", Uses.looksUp},
	{"+sadd", Uses.cleans},
	{"+srem", Uses.cleans},
	{"+zadd", Uses.remembers},
	{"+zrem", Uses.remembers},
	{"+zremrangebyrank", Uses.remembers},
	{"+zremrangebyscore", Uses.cleans},
	{"+zscore", Uses.cleans},
	{"+zmscore", Uses.looksUp},
	{"+zscan", Uses.remembers},
	// Pauses are noted, read and ended for any job.
	{"+hgetall", Uses.anyJob},
	{"+hset", Uses.anyJob},
	{"+hdel", Uses.anyJob},
	// Copies of keys go also where none are kept any more.
	{"+hget", func(u Uses) bool { return !u.ReadOnly && (u.sums() || u.cleans() && u.ownKeys()) }},
	{"+hmget", func(u Uses) bool { return u.sums() || u.shows() }},
	{"+hlen", func(u Uses) bool { return u.sums() || u.moves() }},
	{"+set", func(u Uses) bool { return u.leads() || u.moves() }},
	{"+get", func(u Uses) bool { return u.leads() || u.examines() || u.cleans() && u.ownKeys() }},
	{"+mget", func(u Uses) bool { return u.cleans() && u.ownKeys() }},
	{"+pttl", func(u Uses) bool { return u.holds() || u.examines() && u.ownKeys() || u.copies() }},
	{"+persist", Uses.moves},
	{"+zcard", Uses.copiesHash},
	{"+pexpire", Uses.anyJob},
	{"+del", Uses.leads},
}

// writes are the words that change something, or are used by what does.
var writes = []string{
	"+xtrim", "+xadd", "+unlink", "+sadd", "+srem", "+zadd", "+zrem", "+zremrangebyrank", "+zremrangebyscore", "+hset", "+set", "+pexpire", "+del", "+hdel", "+zscore", "+rename", "+persist", "+xdel",
}

// Writes are the words of the rule that change something.
func (u Uses) Writes() []string {
	words, _ := u.Rule()
	return slices.DeleteFunc(words, func(word string) bool { return !slices.Contains(writes, word) })
}

// Rule is the least rule under which all of that works, as the words of ACL
// SETUSER; the remarks say what a reader of it should know.
func (u Uses) Rule() (words, remarks []string) {
	for _, pattern := range u.patterns() {
		word, exact := patternWord(pattern)
		if !exact {
			remarks = append(remarks, fmt.Sprintf("no ACL rule can hold each character of %s: each that it cannot is a ? in it, which stands for any one", Quote(pattern)))
		}
		words = append(words, word)
	}
	var needed []string
	for _, r := range rights {
		if r.when(u) {
			needed = append(needed, r.word)
		}
	}
	for _, word := range u.sessions().Rights {
		if !slices.Contains(needed, word) {
			needed = append(needed, word)
		}
	}
	if u.ReadOnly {
		needed = slices.DeleteFunc(needed, func(word string) bool { return slices.Contains(writes, word) })
	}
	words = append(words, needed...)
	if u.Trim {
		remarks = append(remarks, "+config|get is for stream-node-max-*, without which Redis's defaults are assumed; it also shows other settings of the server, its passwords among them")
	}
	if slices.Contains(needed, "+info") {
		remarks = append(remarks, u.infoRemark())
	}
	remarks = append(remarks, "+multi and +discard are for naming all rights that are missing at once: commands are queued and discarded",
		"from Redis 7.2 on add +client|no-touch, which older ones do not know, if visits shall not make keys look used; it is asked for once a start, and its denial stands in ACL LOG")
	if (u.marks() || u.copies()) && !u.ReadOnly {
		remarks = append(remarks, "where fields of Hashes expire by themselves (Redis 7.4 and later, INFO keyspace subexpiry) add +hpexpiretime, +hpexpireat and, for sessions at keys of their own, +hpersist, which older ones do not know: without them no session is marked as abandoned there, one that is put back into the shared Hash has no time to live, and one at a key of its own leaves no copy")
	}
	if u.Sentinels {
		remarks = append(remarks, "the Sentinels have users of their own: theirs needs +sentinel|get-master-addr-by-name, and +sentinel|sentinels for those that the URL does not name")
	}
	if u.Cluster {
		remarks = append(remarks, "+cluster|slots and +asking are for a Redis Cluster; a single server does not need them")
	}
	return words, remarks
}

// infoRemark says what INFO is for.
func (u Uses) infoRemark() string {
	var uses []string
	if u.Serve || u.presses() {
		lost := "the page and the metrics lack it"
		if u.presses() {
			lost = "TRIM_PRESSURE is off, and " + lost
		}
		uses = append(uses, "for the server's memory, without which "+lost)
	}
	if u.copies() {
		uses = append(uses, "for clean-up to keep no copies of sessions while memory is short")
	}
	if u.cleans() {
		uses = append(uses, "for clean-up to know whether fields of Hashes expire by themselves")
	}
	if u.examines() {
		uses = append(uses, "for doctor to see memory, saving and other databases")
	}
	return "+info is " + strings.Join(uses, "; and ")
}

// patterns are the keys in use, as globs.
func (u Uses) patterns() []string {
	n := u.Names
	var all []string
	if u.anyJob() {
		all = append(all, redisconn.EscapeGlob(n.Streams), redisconn.EscapeGlob(n.StreamPrefix)+"*")
	}
	if u.sessions().Hash {
		all = append(all, redisconn.EscapeGlob(n.Sessions))
	}
	for _, prefix := range u.sessions().KeyPrefixes {
		all = append(all, redisconn.EscapeGlob(prefix)+"*")
	}
	state := func(names ...string) {
		for _, name := range names {
			all = append(all, redisconn.EscapeGlob(n.StatePrefix+name))
		}
	}
	if u.anyJob() {
		state(statePauses)
	}
	if u.Trim {
		state(statePolicy)
	}
	if u.remembers() {
		state(stateGroups)
	}
	if u.looksUp() {
		state(stateRetired)
	}
	if u.Cleanup {
		state(stateSighted, stateRelisted, stateLeft, stateBrake)
		for _, name := range []string{registry.StateCopies, registry.StatePutBack} {
			all = append(all, redisconn.EscapeGlob(n.StatePrefix+name)+"*")
		}
	}
	if u.records() || u.shows() {
		state(stateHistory)
		all = append(all, redisconn.EscapeGlob(n.StatePrefix+stateTrims)+"*")
	}
	if u.holds() {
		state(stateLease)
	}
	if u.serves() || u.examines() {
		state(stateInstances)
	}
	if u.examines() {
		all = append(all, redisconn.EscapeGlob(CounterKey))
	}
	return all
}

// patternWord is a key pattern as a word of a rule. A word may hold no space,
// and none of what a shell, redis-cli and an ACL file read in different ways.
func patternWord(glob string) (word string, exact bool) {
	var b strings.Builder
	b.WriteByte('~')
	exact = true
	for i := 0; i < len(glob); {
		r, size := utf8.DecodeRuneInString(glob[i:])
		if escape.Unprintable(r, size) || strings.ContainsRune(" \u00a0\"'", r) {
			exact = false
			b.WriteString(strings.Repeat("?", size))
		} else {
			b.WriteString(glob[i : i+size])
		}
		i += size
	}
	return b.String(), exact
}
