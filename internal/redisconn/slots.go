package redisconn

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/redis/go-redis/v9"

	"github.com/streamkeeper/streamkeeper/internal/escape"
)

// slotCount is the number of hash slots of a Redis Cluster.
const slotCount = 16384

// slotOf is the slot of a key: CRC16 (XMODEM) of the key, or of what stands in
// its first braces, as the Redis Cluster specification says.
func slotOf(key string) int {
	if i := strings.IndexByte(key, '{'); i >= 0 {
		if end := strings.IndexByte(key[i+1:], '}'); end > 0 {
			key = key[i+1 : i+1+end]
		}
	}
	var crc uint16
	for i := range len(key) {
		// Eight bits at once: what x leaves is x × (x¹² + x⁵ + 1).
		x := byte(crc>>8) ^ key[i]
		x ^= x >> 4
		crc = crc<<8 ^ uint16(x)<<12 ^ uint16(x)<<5 ^ uint16(x)
	}
	return int(crc % slotCount)
}

// tags has a short text for each slot, which leads there between braces.
var tags = sync.OnceValue(func() []string { return numbered("") })

// numbered are keys, one for each slot: the prefix and a number.
func numbered(prefix string) []string {
	found := make([]string, slotCount)
	for i, left := 0, slotCount; left > 0; i++ {
		key := prefix + strconv.Itoa(i)
		if slot := slotOf(key); found[slot] == "" {
			found[slot], left = key, left-1
		}
	}
	return found
}

// TagOf is a text that leads, between the first braces of another key, to the slot
// of a key: what stands in the key's own braces, or else the key itself, unless
// that cannot stand between braces.
func TagOf(key string) string {
	if _, rest, open := strings.Cut(key, "{"); open {
		if tag, _, closed := strings.Cut(rest, "}"); closed && tag != "" {
			return tag
		}
	}
	if key != "" && !strings.Contains(key, "}") {
		return key
	}
	return tags()[slotOf(key)]
}

// Together reports whether one script may be given both keys.
func (c *Conn) Together(key, other string) bool {
	return c.server.Mode != "cluster" || slotOf(key) == slotOf(other)
}

// NodeOf is the address of the master that serves a key, or empty where there
// is one server only.
func (c *Conn) NodeOf(ctx context.Context, key string) (string, error) {
	cluster, ok := c.rdb.(*redis.ClusterClient)
	if !ok {
		return "", nil
	}
	node, err := cluster.MasterForKey(ctx, key)
	if err != nil {
		return "", fmt.Errorf("looking for the master of key %s: %w", escape.Quote(key), err)
	}
	return c.NodeName(node), nil
}

// NodeName is what [Conn.NodeOf] calls a master.
func (c *Conn) NodeName(node *redis.Client) string {
	if _, ok := c.rdb.(*redis.ClusterClient); !ok {
		return ""
	}
	return node.Options().Addr
}

// probeKeys are keys with the prefix, one for each slot that such keys can lie
// in: all of them, or one if the prefix itself has braces. They should not exist: of
// one that does, a master that is giving its slot away says nothing of that.
func probeKeys(prefix string) []string {
	prefix += "probe:"
	_, rest, open := strings.Cut(prefix, "{")
	tag, _, closed := strings.Cut(rest, "}")
	switch {
	case closed && tag != "":
		return []string{prefix}
	case open:
		return numbered(prefix) // its braces are no pair around a tag, and a number closes none
	}
	keys := make([]string, slotCount)
	for slot, tag := range tags() {
		keys[slot] = prefix + "{" + tag + "}"
	}
	return keys
}

// slotMap says of the slots that keys with one prefix lie in where each is.
type slotMap map[int]slotPlace

// slotPlace is the master that has a slot's keys, or from which to which they are
// moving; neither if that is not known.
type slotPlace struct{ from, to string }

// probeBatch is how many slots are asked for in one pipeline: a node works on
// it for less than half a millisecond.
const probeBatch = 500

// askAgain is how often a slot is asked for that has just changed hands.
const askAgain = 3

// slots asks each master for the slots that it should serve: what it serves it
// answers for, what is leaving it sends on. Unlike CLUSTER NODES that takes no
// right that the jobs do not need.
//
// Only some slots are asked for, or all if they are nil. Of one that no master answers
// for, as it changes hands again and again, the place is not known.
func (c *Conn) slots(ctx context.Context, cluster *redis.ClusterClient, prefix string, only map[int]bool) (slotMap, error) {
	found := make(slotMap)
	keys := slices.DeleteFunc(probeKeys(prefix), func(key string) bool { return only != nil && !only[slotOf(key)] })
	for range askAgain {
		// This reads anew which master serves which slots; ReloadState only has it done
		// some time.
		if err := cluster.ForEachMaster(ctx, func(context.Context, *redis.Client) error { return nil }); err != nil {
			return nil, fmt.Errorf("reading the slots of the masters: %w", err)
		}
		byMaster := make(map[*redis.Client][]string)
		for _, key := range keys {
			node, err := cluster.MasterForKey(ctx, key)
			if err != nil {
				return nil, fmt.Errorf("looking for the master of slot %d: %w", slotOf(key), err)
			}
			byMaster[node] = append(byMaster[node], key)
		}
		var moved []string
		for node, keys := range byMaster {
			for part := range slices.Chunk(keys, probeBatch) {
				gone, err := probe(ctx, node, part, found)
				if err != nil {
					return nil, err
				}
				moved = append(moved, gone...)
			}
		}
		if keys = moved; len(keys) == 0 {
			break
		}
	}
	for _, key := range keys {
		found[slotOf(key)] = slotPlace{}
	}
	return found, nil
}

// probe asks a master for slots by keys that lie in them, and returns the keys of those
// that it does not serve any more.
func probe(ctx context.Context, node *redis.Client, keys []string, into slotMap) (gone []string, err error) {
	pipe := node.Pipeline()
	cmds := make([]*redis.IntCmd, len(keys))
	for i, key := range keys {
		cmds[i] = pipe.Exists(ctx, key)
	}
	// Every command holds its own error.
	_, _ = pipe.Exec(ctx)
	owner := node.Options().Addr
	for i, cmd := range cmds {
		err := cmd.Err()
		target, moving := redis.IsAskError(err)
		_, moved := redis.IsMovedError(err)
		switch {
		case moved:
			gone = append(gone, keys[i])
		case moving:
			into[slotOf(keys[i])] = slotPlace{owner, target}
		case err != nil:
			return nil, fmt.Errorf("asking %s for slot %d: %w", owner, slotOf(keys[i]), err)
		default:
			into[slotOf(keys[i])] = slotPlace{owner, owner}
		}
	}
	return gone, nil
}

// settling follows slots until no key of theirs can have been missed. A key is missed
// in a round only if it moves during it, and no more often than its slot does: after
// more rounds than moves it was found. That a slot left and returned within one round
// does not show.
type settling struct {
	last slotMap
	// moves has how often each slot has moved since the first look, with the move that
	// was under way then.
	moves map[int]int
}

func newSettling(first slotMap) *settling {
	s := &settling{last: first, moves: make(map[int]int)}
	for slot, place := range first {
		s.moves[slot] = slotPlace{place.from, place.from}.movesTo(place)
	}
	return s
}

// movesTo is how many moves lead from one place to a later one, as far as they show.
func (p slotPlace) movesTo(later slotPlace) (moves int) {
	switch later {
	case slotPlace{}:
		return 1 // it changes hands just now, wherever it was before
	case p:
		return 0
	}
	if later.from != p.to {
		moves++
	}
	if later.to != later.from {
		moves++
	}
	return moves
}

// left takes in where the slots of the last round are after so many, and returns
// those in which a key may have been missed.
func (s *settling) left(now slotMap, rounds int) map[int]bool {
	left := make(map[int]bool)
	for slot, place := range now {
		if s.moves[slot] += s.last[slot].movesTo(place); s.moves[slot] >= rounds {
			left[slot] = true
		}
	}
	s.last = now
	return left
}
