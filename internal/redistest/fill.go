package redistest

import (
	"context"
	"strconv"
	"testing"

	"github.com/redis/go-redis/v9"
)

// What a test lays into Redis before it begins costs a client that the race
// detector watches ten times as much as the server: scripts make it there.

// Evaler is a client that runs scripts: of a server or of a cluster.
type Evaler interface {
	Eval(ctx context.Context, script string, keys []string, args ...any) *redis.Cmd
}

// fillBatch is how many entries, and fillWords how many words of commands, go with
// one script.
const fillBatch, fillWords = 2000, 4000

// addEntries takes the fields that all entries begin with, and an id and a size for
// each entry.
const addEntries = `
local n = tonumber(ARGV[1])
local fields = {unpack(ARGV, 2, n + 1)}
local values = {}
for i = n + 2, #ARGV, 2 do
	local size = ARGV[i + 1]
	values[size] = values[size] or string.rep('x', tonumber(size))
	fields[n + 1] = values[size]
	redis.call('XADD', KEYS[1], ARGV[i], unpack(fields))
end
return 'OK'`

// AddEntries adds an entry to a stream for each id. Its fields are those given, the
// last of which is to have no value: that is size(i) bytes.
func AddEntries(t testing.TB, to Evaler, key string, ids []string, size func(i int) int, fields ...string) {
	t.Helper()
	for first := 0; first < len(ids); first += fillBatch {
		args := []any{len(fields)}
		for _, field := range fields {
			args = append(args, field)
		}
		for i := first; i < min(first+fillBatch, len(ids)); i++ {
			args = append(args, ids[i], strconv.Itoa(size(i)))
		}
		eval(t, to, addEntries, []string{key}, args)
	}
}

// doAll takes commands, each after the number of its words.
const doAll = `
local i = 1
while i <= #ARGV do
	local n = tonumber(ARGV[i])
	redis.call(unpack(ARGV, i + 1, i + n))
	i = i + n + 1
end
return 'OK'`

// Do runs commands one after the other, many with one script. Their keys are not
// declared, so it is not for clusters. An error of one of them fails the test.
func Do(t testing.TB, to Evaler, commands [][]any) {
	t.Helper()
	var args []any
	for i, command := range commands {
		args = append(append(args, len(command)), command...)
		if len(args) > fillWords || i == len(commands)-1 {
			eval(t, to, doAll, nil, args)
			args = args[:0]
		}
	}
}

func eval(t testing.TB, to Evaler, script string, keys []string, args []any) {
	t.Helper()
	if err := to.Eval(t.Context(), script, keys, args...).Err(); err != nil {
		t.Fatalf("filling Redis: %v", err)
	}
}
