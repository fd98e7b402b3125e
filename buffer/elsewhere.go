package buffer

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/streamkeeper/streamkeeper/internal/human"
)

// Absence says in a sentence where the buffer was looked for, and in which
// databases there are keys at all, for who finds no stream and no session. What
// Redis does not tell is left out.
func (b *Buffer) Absence(ctx context.Context) string {
	n := b.names
	here := fmt.Sprintf("database %d of %s", b.database, b.address)
	text := fmt.Sprintf("there are no streams (key %s) and no sessions (%s) in %s", Escape(n.Streams), Escape(n.Sessions), here)
	keys := b.keysByDatabase(ctx)
	if keys == nil {
		return text
	}
	own := keys[b.database] - b.CountOwnKeys(ctx)
	delete(keys, b.database)
	switch {
	case own > 0 && len(keys) == 0:
		return text + fmt.Sprintf(", which holds %s: are STREAMS_KEY, SESSIONS_KEY and STREAM_PREFIX right?", keyCount(own))
	case len(keys) == 0:
		return text + ", which is empty, as are all others: is it the right server?"
	}
	var others []string
	for _, db := range slices.Sorted(maps.Keys(keys)) {
		others = append(others, fmt.Sprintf("%d (%s)", db, keyCount(keys[db])))
	}
	return text + "; there are keys in database " + strings.Join(others, ", ") + ": the URL names the database, as /" + strings.Fields(others[0])[0]
}

// CountOwnKeys counts the keys that streamkeeper keeps for itself.
func (b *Buffer) CountOwnKeys(ctx context.Context) int64 {
	pipe := b.rdb.Pipeline()
	var there []*redis.IntCmd
	for _, state := range ownStates {
		there = append(there, pipe.Exists(ctx, b.stateKey(state.name)))
	}
	// Those that may not be asked for are not counted.
	_, _ = pipe.Exec(ctx)
	now, _ := b.Time(ctx)
	n := b.countTrimsKeys(ctx, now) + b.CountCopies(ctx)
	for _, cmd := range there {
		n += cmd.Val()
	}
	return n
}

func keyCount(n int64) string {
	if n == 1 {
		return "1 key"
	}
	return human.Count(n) + " keys"
}

// keysByDatabase counts the keys of each database that has any; nil if Redis does
// not tell. In a cluster, which has one database, a node knows of its own keys only.
func (b *Buffer) keysByDatabase(ctx context.Context) map[int]int64 {
	if b.server.Mode == "cluster" {
		return nil
	}
	info, err := b.rdb.Info(ctx, "keyspace").Result()
	if err != nil {
		return nil
	}
	return parseKeyspace(info)
}

// parseKeyspace reads lines such as "db0:keys=5,expires=0".
func parseKeyspace(info string) map[int]int64 {
	keys := make(map[int]int64)
	for line := range strings.Lines(info) {
		name, facts, found := strings.Cut(strings.TrimSpace(line), ":keys=")
		number, isDB := strings.CutPrefix(name, "db")
		db, err := strconv.Atoi(number)
		if !found || !isDB || err != nil {
			continue
		}
		text, _, _ := strings.Cut(facts, ",")
		if n, err := strconv.ParseInt(text, 10, 64); err == nil && n > 0 {
			keys[db] = n
		}
	}
	return keys
}
