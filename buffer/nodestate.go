package buffer

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"
)

// NodeState is what a master says of its memory and of saving its data.
type NodeState struct {
	NodeMemory
	// Policy is what it does at its limit: noeviction, or whom it evicts.
	Policy string
	// Unsaved says what of its last attempts to save failed, empty if none.
	Unsaved string
}

// NodeStates asks each master how it is. It fails where INFO is denied.
func (b *Buffer) NodeStates(ctx context.Context) ([]NodeState, error) {
	var all []NodeState
	err := b.conn.Masters(ctx, func(ctx context.Context, node *redis.Client) error {
		memory, err := node.InfoMap(ctx, "memory").Result()
		if err != nil {
			return fmt.Errorf("asking Redis for its memory: %w", err)
		}
		saving, err := node.InfoMap(ctx, "persistence").Result()
		if err != nil {
			return fmt.Errorf("asking Redis how it saves: %w", err)
		}
		s := NodeState{NodeMemory: NodeMemory{Node: b.conn.NodeName(node)}, Policy: memory["Memory"]["maxmemory_policy"]}
		s.Used, _ = strconv.ParseInt(memory["Memory"]["used_memory"], 10, 64)
		s.Limit, _ = strconv.ParseInt(memory["Memory"]["maxmemory"], 10, 64)
		s.Unsaved = unsaved(saving["Persistence"])
		all = append(all, s)
		return nil
	})
	return all, err
}

// unsaved names what INFO persistence says has failed.
func unsaved(info map[string]string) string {
	var failed []string
	for _, what := range []struct{ field, name string }{
		{"rdb_last_bgsave_status", "the last snapshot"},
		{"aof_last_write_status", "the last write to the append-only file"},
		{"aof_last_bgrewrite_status", "the last rewrite of the append-only file"},
	} {
		if status := info[what.field]; status != "" && status != "ok" {
			failed = append(failed, what.name)
		}
	}
	return strings.Join(failed, " and ")
}

// Databases is how many keys each database of the one server holds; nil in a
// cluster, which has one database.
func (b *Buffer) Databases(ctx context.Context) (map[int]int64, error) {
	node, ok := b.rdb.(*redis.Client)
	if !ok {
		return nil, nil
	}
	info, err := node.InfoMap(ctx, "keyspace").Result()
	if err != nil {
		return nil, fmt.Errorf("asking Redis for its databases: %w", err)
	}
	found := make(map[int]int64)
	for name, facts := range info["Keyspace"] {
		var db int
		var keys int64
		if _, err := fmt.Sscanf(name+" "+facts, "db%d keys=%d", &db, &keys); err == nil {
			found[db] = keys
		}
	}
	return found, nil
}
