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
		crc ^= uint16(key[i]) << 8
		for range 8 {
			if crc&0x8000 != 0 {
				crc = crc<<1 ^ 0x1021
			} else {
				crc <<= 1
			}
		}
	}
	return int(crc % slotCount)
}

// tags has a short text for each slot, which leads there between braces.
var tags = sync.OnceValue(func() []string {
	found := make([]string, slotCount)
	for i, left := 0, slotCount; left > 0; i++ {
		tag := strconv.Itoa(i)
		if slot := slotOf(tag); found[slot] == "" {
			found[slot], left = tag, left-1
		}
	}
	return found
})

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
// in: all of them, or one if the prefix itself has braces.
func (c *Conn) probeKeys(prefix string) []string {
	if known, ok := c.probes.Load(prefix); ok {
		keys, _ := known.([]string)
		return keys
	}
	found := make(map[int]string, slotCount)
	for i := 0; len(found) < slotCount && (i < 1000 || len(found) > 1); i++ {
		key := prefix + strconv.Itoa(i)
		if slot := slotOf(key); found[slot] == "" {
			found[slot] = key
		}
	}
	keys := make([]string, 0, len(found))
	for _, key := range found {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	c.probes.Store(prefix, keys)
	return keys
}

// slotMap says of the slots that keys with one prefix lie in which master
// serves each; a slot that is on its way to another has a mark beside it.
type slotMap map[int]string

// probeBatch is how many slots are asked for in one pipeline: a node works on
// it for less than half a millisecond.
const probeBatch = 500

// slots asks each master for the slots that it should serve: what it serves it
// answers for, what is leaving it sends on. Unlike CLUSTER NODES that takes no
// right that the jobs do not need.
func (c *Conn) slots(ctx context.Context, cluster *redis.ClusterClient, prefix string) (slotMap, error) {
	cluster.ReloadState(ctx)
	byMaster := make(map[*redis.Client][]string)
	for _, key := range c.probeKeys(prefix) {
		node, err := cluster.MasterForKey(ctx, key)
		if err != nil {
			return nil, fmt.Errorf("looking for the master of slot %d: %w", slotOf(key), err)
		}
		byMaster[node] = append(byMaster[node], key)
	}
	found := make(slotMap, slotCount)
	for node, keys := range byMaster {
		for part := range slices.Chunk(keys, probeBatch) {
			if err := probe(ctx, node, part, found); err != nil {
				return nil, err
			}
		}
	}
	return found, nil
}

func probe(ctx context.Context, node *redis.Client, keys []string, into slotMap) error {
	pipe := node.Pipeline()
	cmds := make([]*redis.IntCmd, len(keys))
	for i, key := range keys {
		cmds[i] = pipe.Exists(ctx, key)
	}
	// Every command holds its own error.
	_, _ = pipe.Exec(ctx)
	for i, cmd := range cmds {
		owner := node.Options().Addr
		switch err := cmd.Err(); {
		case redis.HasErrorPrefix(err, "MOVED"), redis.HasErrorPrefix(err, "ASK"):
			owner += " sends on: " + err.Error()
		case err != nil:
			return fmt.Errorf("asking %s for slot %d: %w", owner, slotOf(keys[i]), err)
		}
		into[slotOf(keys[i])] = owner
	}
	return nil
}

// shifting are the slots that were on their way, or changed hands, between two
// looks.
func shifting(before, after slotMap) map[int]bool {
	slots := make(map[int]bool)
	for slot, owner := range after {
		if owner != before[slot] || strings.Contains(owner, " sends on: ") {
			slots[slot] = true
		}
	}
	return slots
}
