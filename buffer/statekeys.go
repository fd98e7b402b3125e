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

// stateKind is a key under the state prefix, and its type in Redis's words.
type stateKind struct{ name, kind string }

// ownStates are all keys under the state prefix but for those of which there is one for
// each hour or each session.
var ownStates = append([]stateKind{
	{stateLease, "string"}, {statePolicy, "hash"}, {stateInstances, "hash"}, {statePauses, "hash"}, {stateHistory, "stream"}, {stateUnderway, "hash"},
}, cleanupState...)

// cleanupState are the keys of clean-up with their types.
var cleanupState = []stateKind{
	{stateRetired, "zset"}, {stateSighted, "zset"}, {stateRelisted, "zset"}, {stateGroups, "zset"}, {stateLeft, "hash"}, {stateBrake, "hash"},
}

// UnusableState names the keys of clean-up that hold another type. What they are
// for is then not known and cannot be noted, as where Redis has no memory left.
func (b *Buffer) UnusableState(ctx context.Context) ([]string, error) {
	found, err := b.unusable(ctx, cleanupState)
	unusable := make([]string, len(found))
	for i, key := range found {
		unusable[i] = key.Name + ": " + key.Type
	}
	return unusable, err
}

// UnusableKeys are those of our own keys that hold another type, with that type: all
// that are in use, but for the lease and for those of which there is one for each hour
// or each session.
func (b *Buffer) UnusableKeys(ctx context.Context, u Uses) ([]StateKey, error) {
	var states []stateKind
	if u.anyJob() {
		states = append(states, stateKind{statePauses, "hash"})
	}
	if u.Trim {
		states = append(states, stateKind{statePolicy, "hash"})
	}
	if u.Cleanup {
		sessions := "{" + b.names.Sessions + "}"
		states = append(append(states, cleanupState...),
			stateKind{registry.StateCopies + sessions, "stream"}, stateKind{registry.StatePutBack + sessions, "zset"})
	}
	if u.records() {
		states = append(states, stateKind{stateHistory, "stream"}, stateKind{stateUnderway, "hash"})
	}
	if u.serves() {
		states = append(states, stateKind{stateInstances, "hash"})
	}
	return b.unusable(ctx, states)
}

func (b *Buffer) unusable(ctx context.Context, states []stateKind) ([]StateKey, error) {
	if len(states) == 0 {
		return nil, nil
	}
	pipe := b.rdb.Pipeline()
	kinds := make([]*redis.StatusCmd, len(states))
	for i, state := range states {
		kinds[i] = pipe.Type(ctx, b.stateKey(state.name))
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return nil, fmt.Errorf("asking for the types of our own keys: %w", err)
	}
	var unusable []StateKey
	for i, state := range states {
		if kind := kinds[i].Val(); kind != "none" && kind != state.kind {
			unusable = append(unusable, StateKey{b.stateKey(state.name), kind})
		}
	}
	return unusable, nil
}

// StateKey is one key under the state prefix, for the documentation.
type StateKey struct{ Name, Type string }

// kindNames are types of keys as the documentation has them.
var kindNames = map[string]string{"string": "String", "hash": "Hash", "stream": "Stream", "zset": "Sorted Set"}

// StateKeys lists every key that is ever written under the state prefix, for the
// documentation: what stands in capitals there has a value of its own for each key.
func StateKeys() []StateKey {
	keys := []StateKey{
		{stateTrims + "HOUR", "Hash"},
		{registry.StateCopies + "{SESSIONS_KEY}", "Stream"}, {registry.StateCopies + "{SESSIONS_KEY:ID}", "Hash"},
		{registry.StatePutBack + "{SESSIONS_KEY}", "Sorted Set"}, {registry.StatePutBack + "{SESSIONS_KEY:ID}", "String"},
	}
	for _, state := range ownStates {
		keys = append(keys, StateKey{state.name, kindNames[state.kind]})
	}
	return keys
}
