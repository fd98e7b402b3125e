package model

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// id is a stream id.
type id struct{ ms, seq uint64 }

func (a id) less(b id) bool { return a.ms < b.ms || a.ms == b.ms && a.seq < b.seq }

func parseID(text string) id {
	ms, seq, _ := strings.Cut(text, "-")
	var a id
	a.ms, _ = strconv.ParseUint(ms, 10, 64)
	a.seq, _ = strconv.ParseUint(seq, 10, 64)
	return a
}

// entry is an entry of a stream; fields are names and values in turn.
type entry struct {
	id     id
	fields map[string]string
}

// group is a consumer group. Pending holds all ids, those of entries that are
// gone too.
type group struct {
	name      string
	delivered id
	consumers int
	pending   []id
	// noted is since when it is known to have no consumers, in ms; 0 if it is not.
	noted uint64
}

// groupNotes is where that is noted, and groupNote how.
const groupNotes = statePrefix + "groups"

func groupNote(stream, group string) string {
	return fmt.Sprintf("%d:%s%s", len(stream), stream, group)
}

// active says whether a group counts with regard to a limit. Those with
// consumers were all just read from.
func (g group) active(limit time.Duration, now uint64) bool {
	return g.consumers > 0 || g.noted == 0 || now-g.noted <= uint64(limit.Milliseconds())
}

// key is a key and all that is in it.
type key struct {
	kind    string // of TYPE
	entries []entry
	last    id
	groups  []group
	hash    map[string]string
	members []string
	text    string
	// nodes are the numbers of entries in front of each macro node's end.
	nodes []int
}

// dump is everything in Redis but what streamkeeper keeps for itself.
type dump struct {
	now    uint64 // ms
	keys   map[string]*key
	listed map[string]bool // what `streams` holds
}

const statePrefix = "streamkeeper:"

// clients are two databases of one server: the buffer's, and one for trials.
type clients struct{ buffer, trials *redis.Client }

// read dumps the buffer.
func (c clients) read(t testing.TB) dump {
	t.Helper()
	ctx := t.Context()
	d := dump{keys: make(map[string]*key), listed: make(map[string]bool)}
	now, err := c.buffer.Time(ctx).Result()
	check(t, err)
	d.now = uint64(now.UnixMilli())
	names, err := c.buffer.Keys(ctx, "*").Result()
	check(t, err)
	for _, name := range names {
		if strings.HasPrefix(name, statePrefix) {
			continue
		}
		k := &key{}
		d.keys[name] = k
		k.kind, err = c.buffer.Type(ctx, name).Result()
		check(t, err)
		switch k.kind {
		case "stream":
			c.readStream(ctx, t, name, k)
		case "hash":
			k.hash, err = c.buffer.HGetAll(ctx, name).Result()
		case "set":
			k.members, err = c.buffer.SMembers(ctx, name).Result()
			slices.Sort(k.members)
		case "list":
			k.members, err = c.buffer.LRange(ctx, name, 0, -1).Result()
		case "string":
			k.text, err = c.buffer.Get(ctx, name).Result()
		default:
			t.Fatalf("a key of the type %s", k.kind)
		}
		check(t, err)
	}
	if k := d.keys["streams"]; k != nil {
		for _, name := range k.members {
			d.listed[name] = true
		}
	}
	return d
}

func (c clients) readStream(ctx context.Context, t testing.TB, name string, k *key) {
	t.Helper()
	messages, err := c.buffer.XRange(ctx, name, "-", "+").Result()
	check(t, err)
	for _, m := range messages {
		e := entry{id: parseID(m.ID), fields: make(map[string]string)}
		for field, value := range m.Values {
			e.fields[field] = fmt.Sprint(value)
		}
		k.entries = append(k.entries, e)
	}
	info, err := c.buffer.XInfoStream(ctx, name).Result()
	check(t, err)
	k.last = parseID(info.LastGeneratedID)
	groups, err := c.buffer.XInfoGroups(ctx, name).Result()
	check(t, err)
	for _, g := range groups {
		pending, err := c.buffer.XPendingExt(ctx, &redis.XPendingExtArgs{Stream: name, Group: g.Name, Start: "-", End: "+", Count: 1_000_000}).Result()
		check(t, err)
		out := group{name: g.Name, delivered: parseID(g.LastDeliveredID), consumers: int(g.Consumers)}
		noted, _ := c.buffer.ZScore(ctx, groupNotes, groupNote(strings.TrimPrefix(name, "stream:"), g.Name)).Result()
		out.noted = uint64(noted)
		for _, p := range pending {
			out.pending = append(out.pending, parseID(p.ID))
		}
		k.groups = append(k.groups, out)
	}
	k.nodes = c.nodes(ctx, t, name, k.entries)
}

// nodes finds the ends of macro nodes: approximate trimming removes whole ones,
// so a copy is trimmed up to each entry in turn.
func (c clients) nodes(ctx context.Context, t testing.TB, name string, entries []entry) []int {
	t.Helper()
	check(t, c.trials.FlushDB(ctx).Err())
	check(t, c.buffer.Copy(ctx, name, "copy", 1, true).Err())
	pipe := c.trials.Pipeline()
	for i, e := range entries {
		after := id{e.id.ms, e.id.seq + 1}
		if i+1 < len(entries) {
			after = entries[i+1].id
		}
		pipe.Do(ctx, "XTRIM", "copy", "MINID", "~", fmt.Sprintf("%d-%d", after.ms, after.seq))
	}
	if len(entries) == 0 {
		return nil
	}
	answers, err := pipe.Exec(ctx)
	check(t, err)
	var ends []int
	for i, a := range answers {
		if removed, err := a.(*redis.Cmd).Int(); err != nil {
			t.Fatal(err)
		} else if removed > 0 {
			ends = append(ends, i+1)
		}
	}
	return ends
}

// stream is the name's key, nil if there is none.
func (d dump) stream(name string) *key { return d.keys["stream:"+name] }

// names are the listed names in order.
func (d dump) names() []string { return slices.Sorted(maps.Keys(d.listed)) }

// shown is all that is in a key, but not what is noted of its groups.
func (k *key) shown() string {
	bare := *k
	bare.groups = slices.Clone(k.groups)
	for i := range bare.groups {
		bare.groups[i].noted = 0
	}
	return fmt.Sprintf("%+v", bare)
}

// same says what differs between two dumps, apart from the time.
func (d dump) same(other dump) string {
	for _, name := range slices.Sorted(maps.Keys(d.keys)) {
		if other.keys[name] == nil {
			return fmt.Sprintf("%q is gone", name)
		}
		if a, b := d.keys[name].shown(), other.keys[name].shown(); a != b {
			return fmt.Sprintf("%q was changed", name)
		}
	}
	for name := range other.keys {
		if d.keys[name] == nil {
			return fmt.Sprintf("%q is new", name)
		}
	}
	return ""
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
