package buffer

import (
	"context"
	"fmt"

	"github.com/redis/go-redis/v9"

	"github.com/streamkeeper/streamkeeper/buffer/registry"
)

// Keys under the state prefix. All of it is best effort: at maxmemory Redis
// takes none of it, and nothing is then removed that would need it.
const (
	// stateRetired is a Sorted Set of the names of retired streams, by time:
	// a producer does not list its stream again when it comes back.
	stateRetired = "retired"
	// stateSighted is a Sorted Set of the names that were seen without an
	// entry, by the time of the first sighting.
	stateSighted = "sighted"
	// stateLeft is a Hash of what the last clean-up left behind.
	stateLeft = "left"
	// statePolicy is a Hash of the policies under which was trimmed last.
	statePolicy = "policy"
	// stateBrake is a Hash of the decision that the mass-deletion guard holds
	// back.
	stateBrake = "brake"
	// stateRelisted is a Sorted Set of the names that were listed again because a
	// session names them, by time.
	stateRelisted = "relisted"
)

// cleanupState are the keys of clean-up with their types.
var cleanupState = []struct{ name, kind string }{
	{stateRetired, "zset"}, {stateSighted, "zset"}, {stateRelisted, "zset"}, {stateGroups, "zset"}, {stateLeft, "hash"}, {stateBrake, "hash"},
}

// UnusableState names the keys of clean-up that hold another type. What they are
// for is then not known and cannot be noted, as where Redis has no memory left.
func (b *Buffer) UnusableState(ctx context.Context) ([]string, error) {
	pipe := b.rdb.Pipeline()
	kinds := make([]*redis.StatusCmd, len(cleanupState))
	for i, state := range cleanupState {
		kinds[i] = pipe.Type(ctx, b.stateKey(state.name))
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return nil, fmt.Errorf("asking for the types of our own keys: %w", err)
	}
	var unusable []string
	for i, state := range cleanupState {
		if kind := kinds[i].Val(); kind != "none" && kind != state.kind {
			unusable = append(unusable, fmt.Sprintf("%s: %s", b.stateKey(state.name), kind))
		}
	}
	return unusable, nil
}

// StateKey is one key under the state prefix, for the documentation.
type StateKey struct{ Name, Type string }

// StateKeys lists every key that is ever written under the state prefix.
func StateKeys() []StateKey {
	keys := []StateKey{
		{stateLease, "String"}, {statePolicy, "Hash"}, {stateInstances, "Hash"}, {statePauses, "Hash"},
		{stateHistory, "Stream"}, {stateTrims + "HOUR", "Hash"},
		{registry.StateCopies + "{SESSIONS_KEY}", "Stream"}, {registry.StateCopies + "{SESSIONS_KEY:ID}", "Hash"},
		{registry.StatePutBack + "{SESSIONS_KEY}", "Sorted Set"}, {registry.StatePutBack + "{SESSIONS_KEY:ID}", "String"},
	}
	for _, state := range cleanupState {
		kind := "Hash"
		if state.kind == "zset" {
			kind = "Sorted Set"
		}
		keys = append(keys, StateKey{state.name, kind})
	}
	return keys
}
