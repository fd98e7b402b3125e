package buffer

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"
)

// ErrUncounted means that the server does not say how often it carried out
// each command, or not to this user.
var ErrUncounted = errors.New("the server does not tell how many entries are appended to it")

// Census is the lengths of some streams beside the number of entries that were
// appended to all: together they tell whether any other stream grew.
type Census struct {
	// Names is how many names the set of streams holds, ours and others'.
	Names int64
	// Lengths are those that were asked for, in their order.
	Lengths []Length
	// Before and After are counted before the first length and after the last
	// one; they are the same where all was read at one instant.
	Before, After Appends
}

// Appends is how many entries were appended to the streams of the server, or
// of a cluster's masters, as INFO commandstats has it.
type Appends struct {
	// nodes are the commands of each server, by its run id and the replication
	// id of its data: the latter changes when it becomes a master again, maybe
	// with the data of another.
	nodes map[string]commandCounts
}

// commandCounts are the calls of each command since the server started, or
// since CONFIG RESETSTAT.
type commandCounts map[string]int64

// lengthening are the commands beside XADD that may leave a stream longer.
var lengthening = []string{"copy", "move", "rename", "renamenx", "restore", "restore-asking", "swapdb"}

// Since is how many entries were appended after earlier was counted, at most:
// a call of XADD that failed counts too. It is false where that cannot be told:
// another server answered, or one with other data; one began to count anew; or a
// stream may have come from elsewhere.
func (a Appends) Since(earlier Appends) (entries int64, ok bool) {
	if len(a.nodes) == 0 || len(a.nodes) != len(earlier.nodes) {
		return 0, false
	}
	for id, counts := range a.nodes {
		before, known := earlier.nodes[id]
		if !known || counts.restarted(before) || counts.lengthened(before) {
			return 0, false
		}
		entries += counts["xadd"] - before["xadd"]
	}
	return entries, true
}

// restarted reports whether any count fell.
func (c commandCounts) restarted(before commandCounts) bool {
	for name, calls := range before {
		if c[name] < calls {
			return true
		}
	}
	return false
}

func (c commandCounts) lengthened(before commandCounts) bool {
	for _, name := range lengthening {
		if c[name] != before[name] {
			return true
		}
	}
	return false
}

// censusAtOnce is how many lengths are read at one instant: some microseconds
// for each ten.
const censusAtOnce = 512

// censusScript reads all at one instant.
//
// KEYS[1] set of streams, KEYS[2…] streams
// returns {names in the set, INFO server and replication and commandstats, then for each stream its length or an error}
var censusScript = newScript(`
local info = {}
for i, section in ipairs({'server', 'replication', 'commandstats'}) do info[i] = redis.call('INFO', section) end
local census = {redis.call('SCARD', KEYS[1]), table.concat(info, '\\n')}
for i = 2, #KEYS do census[i + 1] = redis.pcall('XLEN', KEYS[i]) end
return census
`)

// Census counts. Few enough streams of one server are asked at one instant; in
// a cluster there is no such thing. It fails with [ErrUncounted] where the
// server does not say what was appended, or not to this user.
func (b *Buffer) Census(ctx context.Context, names []string) (Census, error) {
	if b.server.Name == "miniredis" {
		return Census{}, ErrUncounted
	}
	if b.single() != nil && 0 < len(names) && len(names) <= censusAtOnce && !b.noScriptInfo.Load() {
		c, err := b.censusAtOnce(ctx, names)
		if _, refused := errors.AsType[redis.Error](err); !refused || ClassOf(err) != ClassOther {
			return c, err
		}
		// Redis Enterprise knows no INFO in scripts.
		b.noScriptInfo.Store(true)
	}
	var c Census
	var err error
	if c.Before, err = b.appends(ctx); err != nil {
		return Census{}, err
	}
	if c.Names, err = b.CountStreams(ctx); err != nil {
		return Census{}, err
	}
	if c.After = c.Before; len(names) == 0 {
		return c, nil
	}
	if c.Lengths, err = b.Lengths(ctx, names); err != nil {
		return Census{}, err
	}
	c.After, err = b.appends(ctx)
	return c, err
}

func (b *Buffer) censusAtOnce(ctx context.Context, names []string) (Census, error) {
	streams := make(moreKeys, len(names))
	for i, name := range names {
		streams[i] = b.names.StreamKey(name)
	}
	reply, err := b.evalRead(ctx, censusScript, []scriptCall{{b.names.Streams, []any{streams}}})[0].Slice()
	if err != nil {
		return Census{}, untold(err)
	}
	if len(reply) != 2+len(names) {
		return Census{}, fmt.Errorf("counting what is appended: %d answers to %d questions", len(reply), 2+len(names))
	}
	c := Census{Lengths: make([]Length, len(names))}
	c.Names, _ = reply[0].(int64)
	info, _ := reply[1].(string)
	for i, length := range reply[2:] {
		c.Lengths[i].Entries, _ = length.(int64)
		c.Lengths[i].Err, _ = length.(error)
	}
	c.After = Appends{make(map[string]commandCounts)}
	if err := c.After.read(info); err != nil {
		return Census{}, err
	}
	c.Before = c.After
	return c, nil
}

// appends asks each master.
func (b *Buffer) appends(ctx context.Context) (Appends, error) {
	all := Appends{make(map[string]commandCounts)}
	err := b.masters(ctx, func(ctx context.Context, node *redis.Client) error {
		// 6.2 gives one section a call.
		pipe := node.Pipeline()
		server, data, commands := pipe.Info(ctx, "server"), pipe.Info(ctx, "replication"), pipe.Info(ctx, "commandstats")
		if _, err := pipe.Exec(ctx); err != nil {
			return untold(err)
		}
		return all.read(server.Val() + "\n" + data.Val() + "\n" + commands.Val())
	})
	return all, err
}

// untold is why a count could not be had: for good, if it is for want of a right
// or of the command.
func untold(err error) error {
	denied := ClassOf(err) == ClassAuth && !redis.HasErrorPrefix(err, "NOAUTH") && !redis.HasErrorPrefix(err, "WRONGPASS")
	if denied || strings.Contains(err.Error(), "unknown command") {
		err = fmt.Errorf("%w: %w", ErrUncounted, err)
	}
	return fmt.Errorf("counting what is appended: %w", err)
}

// read adds what one server's INFO says.
func (a Appends) read(info string) error {
	var runID, dataID string
	counts := make(commandCounts)
	for name, value := range infoLines(info) {
		switch name {
		case "run_id":
			runID = value
		case "master_replid":
			dataID = value
		}
		command, isCommand := strings.CutPrefix(name, "cmdstat_")
		text, hasCalls := strings.CutPrefix(value, "calls=")
		text, _, _ = strings.Cut(text, ",")
		if calls, err := strconv.ParseInt(text, 10, 64); isCommand && hasCalls && err == nil {
			counts[strings.ToLower(command)] = calls
		}
	}
	if runID == "" || len(counts) == 0 {
		return ErrUncounted
	}
	a.nodes[runID+" "+dataID] = counts
	return nil
}

// infoLines are the names and values in an answer to INFO.
func infoLines(info string) iter.Seq2[string, string] {
	return func(yield func(name, value string) bool) {
		for line := range strings.Lines(info) {
			name, value, found := strings.Cut(strings.TrimRight(line, "\r\n"), ":")
			if found && !yield(name, value) {
				return
			}
		}
	}
}
