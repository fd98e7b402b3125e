package buffer

import (
	"context"
	"slices"
	"strings"

	"github.com/streamkeeper/streamkeeper/buffer/registry"
	"github.com/streamkeeper/streamkeeper/internal/redisconn"
)

// MissingRights are the words that the user's rule lacks for what is used, all in
// one go: commands are queued on the real keys and discarded, so nothing runs.
func (b *Buffer) MissingRights(ctx context.Context, u Uses) ([]string, error) {
	u.Cluster, u.Names = b.server.Mode == "cluster", b.names
	denials, err := b.conn.Denied(ctx, u.probes())
	if err != nil {
		return nil, err
	}
	words, _ := u.Rule()
	var missing []string
	for _, d := range denials {
		lacks := wordOf(d.Probe, words)
		if d.OfKey {
			lacks = patternOf(d.Probe.Key, u.patterns())
		}
		if !slices.Contains(missing, lacks) {
			missing = append(missing, lacks)
		}
	}
	return missing, nil
}

// wordOf is the word of a rule that a probe was for.
func wordOf(p redisconn.Probe, words []string) string {
	name, _ := p.Args[0].(string)
	if len(p.Args) > 1 {
		if sub, ok := p.Args[1].(string); ok && slices.Contains(words, "+"+name+"|"+sub) {
			return "+" + name + "|" + sub
		}
	}
	return "+" + name
}

// patternOf is the word that takes in a key.
func patternOf(key string, patterns []string) string {
	for _, glob := range patterns {
		if exampleOf(glob) == key {
			word, _ := patternWord(glob)
			return word
		}
	}
	return "~" + key
}

// exampleOf is a key that a pattern of ours takes in.
func exampleOf(glob string) string {
	name, isPrefix := glob, strings.HasSuffix(glob, "*") && !strings.HasSuffix(glob, `\*`)
	if isPrefix {
		name = glob[:len(glob)-1] + nobody
	}
	var b strings.Builder
	for i := 0; i < len(name); i++ {
		if name[i] == '\\' && i+1 < len(name) {
			i++
		}
		b.WriteByte(name[i])
	}
	return b.String()
}

// probes are a command for each word of the rule, and for each key.
func (u Uses) probes() (all []redisconn.Probe) {
	words, _ := u.Rule()
	for _, word := range words {
		if probe, ok := u.probeOf(word); ok {
			all = append(all, probe)
		}
	}
	for _, glob := range u.patterns() {
		key := exampleOf(glob)
		all = append(all,
			redisconn.Probe{Key: key, Args: []any{"type", key}},
			redisconn.Probe{Key: key, Args: []any{"eval", "return 1", 1, key}})
	}
	return all
}

// place stands for a key among the arguments of a probe.
type place int

const (
	onStream place = iota
	onStreams
	onSessions
	onSorted
	onNote
	onLease
	onString
	onEnding
	onPutBack
	theDatabase
)

// nobody is a name that nothing has.
const nobody = "rights"

// probeArgs are what follows the command that a word allows. Nothing would change
// even if it ran where nothing is called [nobody].
var probeArgs = map[string][]any{
	"+select": {theDatabase}, "+asking": {}, "+ping": {}, "+info": {}, "+time": {}, "+cluster|slots": {},
	"+config|get": {"stream-node-max-entries"}, "+scan": {0},
	"+eval": {"return 1", 1, onStream}, "+evalsha": {strings.Repeat("0", 40), 1, onStream},
	"+type": {onStream}, "+xlen": {onStream}, "+exists": {onStream}, "+unlink": {onStream},
	"+xinfo|stream": {onStream}, "+xinfo|groups": {onStream}, "+memory|usage": {onStream}, "+xinfo|consumers": {onStream, nobody},
	"+xrange": {onStream, "-", "+"}, "+xrevrange": {onStream, "+", "-"}, "+xtrim": {onStream, "MAXLEN", "1000000000"},
	"+xpending": {onStream, nobody}, "+xadd": {onStream, "NOMKSTREAM", "*", "f", "v"},
	"+scard": {onStreams}, "+smismember": {onStreams, nobody}, "+sadd": {onStreams, nobody}, "+srem": {onStreams, nobody}, "+sscan": {onStreams, 0},
	"+hscan": {onSessions, 0}, "+hmget": {onSessions, nobody}, "+getrange": {onSessions, 0, 0}, "+hget": {onSessions, nobody}, "+hexists": {onSessions, nobody}, "+hdel": {onNote, nobody},
	"+zadd": {onSorted, 0, nobody}, "+zrem": {onSorted, nobody}, "+zscore": {onSorted, nobody}, "+zmscore": {onSorted, nobody},
	"+zremrangebyrank": {onSorted, 0, 0}, "+zremrangebyscore": {onSorted, 0, 0}, "+zscan": {onSorted, 0},
	"+hlen": {onNote}, "+hgetall": {onNote}, "+hset": {onNote, "f", "v"},
	"+mget": {onPutBack}, "+rename": {onPutBack, onPutBack}, "+persist": {onPutBack}, "+xdel": {onStream, "1-1"}, "+zcard": {onSorted},
	"+get": {onString}, "+pttl": {onEnding}, "+del": {onLease}, "+set": {onLease, "v"}, "+pexpire": {onNote, 1},
}

// probeOf is the command that a word allows, on a key that it is used on.
func (u Uses) probeOf(word string) (redisconn.Probe, bool) {
	args, known := probeArgs[word]
	if !known {
		return redisconn.Probe{}, false
	}
	var p redisconn.Probe
	for name := range strings.SplitSeq(strings.TrimPrefix(word, "+"), "|") {
		p.Args = append(p.Args, name)
	}
	for _, arg := range args {
		at, isPlace := arg.(place)
		switch {
		case !isPlace:
			p.Args = append(p.Args, arg)
		case at == theDatabase:
			p.Args = append(p.Args, u.Number)
		default:
			p.Key = u.keyAt(at)
			p.Args = append(p.Args, p.Key)
		}
	}
	return p, true
}

// keyAt is a key of a kind that is in use.
func (u Uses) keyAt(at place) string {
	switch at {
	case onStreams:
		return u.Names.Streams
	case onSessions:
		return u.sessionsKey()
	case onSorted:
		return u.sortedKey()
	case onNote:
		return u.noteKey()
	case onLease:
		if !u.leads() {
			return u.Names.StatePrefix + registry.StatePutBack + nobody
		}
		return u.Names.StatePrefix + stateLease
	case onPutBack:
		return u.Names.StatePrefix + registry.StatePutBack + nobody
	case onString:
		switch {
		case u.examines():
			return CounterKey
		case !u.leads():
			return u.Names.StatePrefix + registry.StatePutBack + nobody
		}
		return u.Names.StatePrefix + stateLease
	case onEnding:
		if !u.holds() {
			return u.sessionsKey()
		}
		return u.Names.StatePrefix + stateLease
	}
	return u.Names.StreamKey(nobody)
}

// sessionsKey is a key of sessions that is in use, or else one of ours.
func (u Uses) sessionsKey() string {
	at := u.sessions()
	switch {
	case at.Hash:
		return u.Names.Sessions
	case u.ownKeys():
		return at.KeyPrefixes[0] + nobody
	}
	return u.Names.StatePrefix + stateTrims + nobody
}

// sortedKey is one of our sorted sets that is in use.
func (u Uses) sortedKey() string {
	if u.looksUp() {
		return u.Names.StatePrefix + stateRetired
	}
	return u.Names.StatePrefix + stateGroups
}

// noteKey is the one of our Hashes that is always in use.
func (u Uses) noteKey() string {
	return u.Names.StatePrefix + statePauses
}
