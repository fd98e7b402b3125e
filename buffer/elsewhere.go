package buffer

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/streamkeeper/streamkeeper/buffer/registry"
	"github.com/streamkeeper/streamkeeper/internal/human"
)

// Absence says in a sentence where the buffer was looked for, and in which
// databases there are keys at all, for who finds nothing. Where there are streams
// or sessions all the same it says that instead. What Redis does not tell is left
// out.
func (b *Buffer) Absence(ctx context.Context) string {
	n := b.names
	here := fmt.Sprintf("database %d of %s", b.database, b.address)
	if text := b.presence(ctx, here); text != "" {
		return text
	}
	text := fmt.Sprintf("there are no streams (key %s)", Escape(n.Streams))
	switch found, err := b.anySession(ctx); {
	case found:
		return text + fmt.Sprintf(" in %s, though there are sessions (%s): is STREAMS_KEY right?", here, Escape(n.Sessions))
	case err != nil:
		return text + " in " + here
	}
	return text + fmt.Sprintf(" and no sessions (%s) in %s", Escape(n.Sessions), here) + b.elsewhere(ctx)
}

// presence says that there are streams, "" if there are none or that is not known.
func (b *Buffer) presence(ctx context.Context, here string) string {
	listed, err := b.CountStreams(ctx)
	if err != nil || listed == 0 {
		return ""
	}
	is := "are"
	if listed == 1 {
		is = "is"
	}
	text := fmt.Sprintf("there %s %s (key %s) in %s, ", is, human.Plural(listed, "stream"), Escape(b.names.Streams), here)
	ours := false
	err = b.WalkStreams(ctx, func([]string) error { ours = true; return errFound })
	switch {
	case err != nil && !ours || !ours && !b.Narrowed():
		return ""
	case ours:
		return text + "in which nothing was found"
	case listed == 1:
		return text + "which STREAMS_INCLUDE and STREAMS_EXCLUDE do not leave to streamkeeper"
	}
	return text + "none of which STREAMS_INCLUDE and STREAMS_EXCLUDE leave to streamkeeper"
}

// errFound ends a scan.
var errFound = errors.New("found")

// anySession reports whether there is a session, of whatever stream.
func (b *Buffer) anySession(ctx context.Context) (found bool, err error) {
	err = b.WalkSessions(ctx, func(page []registry.Session) error {
		if found = slices.ContainsFunc(page, func(s registry.Session) bool { return !s.Foreign }); found {
			return errFound
		}
		return nil
	})
	if found {
		err = nil
	}
	return found, err
}

// elsewhere says in which databases there are keys, and what may be wrong.
func (b *Buffer) elsewhere(ctx context.Context) string {
	keys := b.keysByDatabase(ctx)
	if keys == nil {
		return ""
	}
	own := keys[b.database] - b.CountOwnKeys(ctx)
	delete(keys, b.database)
	switch {
	case own > 0 && len(keys) == 0:
		return fmt.Sprintf(", which holds %s: are STREAMS_KEY, SESSIONS_KEY and STREAM_PREFIX right?", keyCount(own))
	case len(keys) == 0:
		return ", which is empty, as are all others: is it the right server?"
	}
	var others []string
	for _, db := range slices.Sorted(maps.Keys(keys)) {
		others = append(others, fmt.Sprintf("%d (%s)", db, keyCount(keys[db])))
	}
	return "; there are keys in database " + strings.Join(others, ", ") + ": the URL names the database, as /" + strings.Fields(others[0])[0]
}

// Matched reports for each pattern whether a stream of ours matches it.
func (b *Buffer) Matched(ctx context.Context, patterns Patterns) ([]bool, error) {
	used := make([]bool, len(patterns))
	err := b.WalkStreams(ctx, func(names []string) error {
		for i, p := range patterns {
			used[i] = used[i] || slices.ContainsFunc(names, p.Match)
		}
		if slices.Contains(used, false) {
			return nil
		}
		return errFound
	})
	if errors.Is(err, errFound) {
		err = nil
	}
	return used, err
}

// NoMatch says that no stream of ours matches the patterns, as they were written; ""
// if there are none.
func (b *Buffer) NoMatch(words []string) string {
	if len(words) == 0 {
		return ""
	}
	text := "no stream matches " + strings.Join(words, ", ")
	if b.Narrowed() {
		text += ", of those that STREAMS_INCLUDE and STREAMS_EXCLUDE leave to streamkeeper"
	}
	return text
}

// Narrowed reports whether STREAMS_INCLUDE or STREAMS_EXCLUDE may leave out streams.
func (b *Buffer) Narrowed() bool {
	return len(b.include) > 0 && !b.include.all() || len(b.exclude) > 0
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
