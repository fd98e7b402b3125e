package buffer

import (
	"context"
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"
)

// Trim is one bounded command that removes the oldest entries of a stream,
// either down to a length or below an id. What it keeps is part of the command,
// so it is right whatever else happens to the stream meanwhile.
type Trim struct {
	Stream string
	// MaxLen is how many of the newest entries stay. It counts unless Before
	// is set.
	MaxLen int64
	// Before is the id below which entries go.
	Before ID
	// Floor is an id from which on nothing goes, whatever MaxLen says; 0-0
	// for none.
	Floor ID
	// Groups, if set, keeps what a consumer group still needs.
	Groups *GroupGuard
	// Limit is the most that one call removes, in entries; at least 1. An
	// approximate call removes whole macro nodes, and so nothing at all where
	// Limit is less than the entries of the first one.
	Limit int64
	// Exact removes single entries of a macro node too.
	Exact bool
}

// GroupGuard says which consumer groups hold trimming back.
type GroupGuard struct {
	// IdleAfter is how long all consumers of a group must have been idle for
	// the group to count no longer.
	IdleAfter time.Duration
	// Ignore names groups without consumers that count no longer.
	Ignore []string
}

// Trimmed is the outcome of a [Trim].
type Trimmed struct {
	// Removed is a number of entries.
	Removed int64
	// HeldBy is the consumer group that held the trimming back, empty if none.
	HeldBy string
	// Lonely are the groups without consumers, if groups were looked at:
	// Redis does not know since when they have been so.
	Lonely []string
	Err    error
}

// groupFloorLua finds the first id that a consumer group still needs: what was
// not delivered to it, and what was delivered and not acknowledged. It wants
// key, floor and idle, reads the groups to ignore from ARGV[7…], and sets
// floor, holder (the group that set it) and lonely (groups without consumers).
const groupFloorLua = `
local function bigger(a, b) return #a > #b or (#a == #b and a > b) end
local function less(a, b)
  local ams, aseq = a:match('(%d+)-(%d+)')
  local bms, bseq = b:match('(%d+)-(%d+)')
  if ams ~= bms then return bigger(bms, ams) end
  return bigger(bseq, aseq)
end
local function after(id)
  local ms, seq = id:match('(%d+)-(%d+)')
  if #seq > 15 then return id end
  return ms .. '-' .. string.format('%.0f', tonumber(seq) + 1)
end
local function fields(list)
  local t = {}
  for i = 1, #list, 2 do t[list[i]] = list[i + 1] end
  return t
end

local holder, lonely = '', {}
if idle >= 0 then
  local ignore = {}
  for i = 7, #ARGV do ignore[ARGV[i]] = true end
  for _, g in ipairs(redis.call('XINFO', 'GROUPS', key)) do
    local group = fields(g)
    local counts = true
    if group.consumers == 0 then
      counts = not ignore[group.name]
      lonely[#lonely + 1] = group.name
    else
      counts = false
      for _, c in ipairs(redis.call('XINFO', 'CONSUMERS', key, group.name)) do
        if fields(c).idle <= idle then counts = true end
      end
    end
    if counts then
      local need = after(group['last-delivered-id'])
      if group.pending > 0 then
        local first = redis.call('XPENDING', key, group.name)[2]
        if first and less(first, need) then need = first end
      end
      if floor == '' or less(need, floor) then floor, holder = need, group.name end
    end
  end
end
`

// trimScript trims where the answer depends on more than XTRIM can look at:
// length together with a floor, consumer groups, and the entries of a macro
// node. All of it is read here, so that two keepers at once remove no more than
// one would. Exact MINID is not used, since after an XDEL it can leave a macro
// node behind that has no entry; the entries are counted and cut by length.
//
// KEYS[1] stream
// ARGV[1] length to keep, or -1; ARGV[2] id below which entries go, or empty;
// ARGV[3] floor, or empty; ARGV[4] limit; ARGV[5] "1" for exact;
// ARGV[6] ms after which an idle group counts no longer, or -1 to look at no
// group; ARGV[7…] groups to ignore
// returns {removed, name of the group that held it back or empty, names of the groups without consumers}
var trimScript = newScript(`
local key, maxlen, before, floor = KEYS[1], tonumber(ARGV[1]), ARGV[2], ARGV[3]
local limit, exact, idle = tonumber(ARGV[4]), ARGV[5] == '1', tonumber(ARGV[6])

` + groupFloorLua + `
local length = redis.call('XLEN', key)
local surplus = 0
if before == '' then
  surplus = length - maxlen
  if surplus <= 0 then return {0, '', lonely} end
elseif floor ~= '' and less(floor, before) then
  before = floor
else
  holder = ''
end

if not exact then
  if before ~= '' then return {redis.call('XTRIM', key, 'MINID', '~', before, 'LIMIT', limit), holder, lonely} end
  if floor == '' then return {redis.call('XTRIM', key, 'MAXLEN', '~', maxlen, 'LIMIT', limit), '', lonely} end
  local n = math.min(surplus, limit)
  local removed = redis.call('XTRIM', key, 'MINID', '~', floor, 'LIMIT', n)
  if removed > 0 then holder = '' end
  return {removed, holder, lonely}
end

local want = math.min(surplus, limit)
local below = before
if below == '' then below = floor else want = limit end
if below ~= '' then
  local found = #redis.call('XRANGE', key, '-', '(' .. below, 'COUNT', want)
  if found >= want then holder = '' end
  want = found
end
if want <= 0 then return {0, holder, lonely} end
return {redis.call('XTRIM', key, 'MAXLEN', '=', length - want), holder, lonely}
`)

// Trims carries the calls out in one pipeline, in order. An error means that
// the connection broke, and the outcomes are unknown.
func (b *Buffer) Trims(ctx context.Context, calls []Trim) ([]Trimmed, error) {
	outcomes := make([]Trimmed, len(calls))
	var plain []int
	var scripted []int
	for i, t := range calls {
		if t.Exact || !t.Floor.IsZero() || t.Groups != nil {
			scripted = append(scripted, i)
		} else {
			plain = append(plain, i)
		}
	}
	if err := b.plainTrims(ctx, calls, plain, outcomes); err != nil {
		return nil, err
	}
	if err := b.scriptedTrims(ctx, calls, scripted, outcomes); err != nil {
		return nil, err
	}
	return outcomes, nil
}

func (b *Buffer) plainTrims(ctx context.Context, calls []Trim, indexes []int, outcomes []Trimmed) error {
	if len(indexes) == 0 {
		return nil
	}
	pipe := b.rdb.Pipeline()
	cmds := make([]*redis.IntCmd, len(indexes))
	for n, i := range indexes {
		t := calls[i]
		// go-redis leaves LIMIT out where it is 0, which would mean Redis's
		// own bound of 10 000 entries.
		limit := max(1, t.Limit)
		if t.Before.IsZero() {
			cmds[n] = pipe.XTrimMaxLenApprox(ctx, b.names.StreamKey(t.Stream), t.MaxLen, limit)
		} else {
			cmds[n] = pipe.XTrimMinIDApprox(ctx, b.names.StreamKey(t.Stream), t.Before.String(), limit)
		}
	}
	if _, err := pipe.Exec(ctx); IsLost(err) {
		return fmt.Errorf("trimming %d streams: %w", len(indexes), err)
	}
	for n, i := range indexes {
		outcomes[i].Removed, outcomes[i].Err = cmds[n].Result()
	}
	return nil
}

func (b *Buffer) scriptedTrims(ctx context.Context, calls []Trim, indexes []int, outcomes []Trimmed) error {
	if len(indexes) == 0 {
		return nil
	}
	scripts := make([]scriptCall, len(indexes))
	for n, i := range indexes {
		scripts[n] = scriptCall{b.names.StreamKey(calls[i].Stream), calls[i].scriptArgs()}
	}
	for n, cmd := range b.evalWrite(ctx, trimScript, scripts) {
		reply, err := cmd.Slice()
		if IsLost(err) {
			return fmt.Errorf("trimming stream %q: %w", Escape(calls[indexes[n]].Stream), err)
		}
		into := &outcomes[indexes[n]]
		into.Err = err
		if len(reply) == 3 {
			into.Removed, _ = reply[0].(int64)
			into.HeldBy, _ = reply[1].(string)
			into.Lonely = texts(reply[2])
		}
	}
	return nil
}

func (t Trim) scriptArgs() []any {
	args := []any{"-1", "", "", strconv.FormatInt(max(1, t.Limit), 10), "0", "-1"}
	if t.Before.IsZero() {
		args[0] = strconv.FormatInt(t.MaxLen, 10)
	} else {
		args[1] = t.Before.String()
	}
	if !t.Floor.IsZero() {
		args[2] = t.Floor.String()
	}
	if t.Exact {
		args[4] = "1"
	}
	if t.Groups != nil {
		args[5] = strconv.FormatInt(t.Groups.IdleAfter.Milliseconds(), 10)
		for _, name := range t.Groups.Ignore {
			args = append(args, name)
		}
	}
	return args
}

// GroupFloor is what the consumer groups of a stream need.
type GroupFloor struct {
	// Group is the one that needs the oldest entry; empty if none holds
	// trimming back.
	Group string
	// Needed is the first id it needs.
	Needed ID
	Err    error
}

// floorScript finds what trimScript would not go beyond. KEYS and ARGV are
// trimScript's; returns {group, first id that it needs}, both empty for none.
var floorScript = newScript(`
local key, floor, idle = KEYS[1], '', tonumber(ARGV[6])
if redis.call('EXISTS', key) == 0 then return {'', ''} end
` + groupFloorLua + `
return {holder, floor}
`)

// GroupFloors asks what the consumer groups of each stream need.
func (b *Buffer) GroupFloors(ctx context.Context, streams []string, guard GroupGuard) ([]GroupFloor, error) {
	calls := make([]scriptCall, len(streams))
	for i, stream := range streams {
		calls[i] = scriptCall{b.names.StreamKey(stream), Trim{Groups: &guard}.scriptArgs()}
	}
	floors := make([]GroupFloor, len(streams))
	for i, cmd := range b.evalRead(ctx, floorScript, calls) {
		reply, err := cmd.StringSlice()
		if IsLost(err) {
			return nil, fmt.Errorf("asking for the consumer groups of stream %q: %w", Escape(streams[i]), err)
		}
		floors[i].Err = err
		if len(reply) == 2 && reply[1] != "" {
			floors[i].Group = reply[0]
			floors[i].Needed, floors[i].Err = ParseID(reply[1])
		}
	}
	return floors, nil
}

// FirstSight is what trimming has to know of a stream before it trims it by
// age for the first time.
type FirstSight struct {
	// TimeIDs reports that no entry's id is outside of what counts as a time.
	TimeIDs bool
	// Bytes is roughly what the stream takes in memory, 0 if not known.
	Bytes int64
	// Err is why the stream could not be asked.
	Err error
}

// FirstSights looks at streams in one pipeline. For a stream whose ids are
// times no payload is sent; of another one entry is.
func (b *Buffer) FirstSights(ctx context.Context, names []string, now time.Time) ([]FirstSight, error) {
	pipe := b.rdb.Pipeline()
	type asked struct {
		early, late *redis.XMessageSliceCmd
		bytes       *redis.IntCmd
	}
	cmds := make([]asked, len(names))
	tooEarly := strconv.Itoa(MinTimeMs - 1)
	tooLate := strconv.FormatInt(now.Add(MaxTimeAhead).UnixMilli()+1, 10)
	for i, name := range names {
		key := b.names.StreamKey(name)
		cmds[i] = asked{
			pipe.XRangeN(ctx, key, "-", tooEarly, 1),
			pipe.XRangeN(ctx, key, tooLate, "+", 1),
			pipe.MemoryUsage(ctx, key, 1),
		}
	}
	if _, err := pipe.Exec(ctx); IsLost(err) {
		return nil, fmt.Errorf("looking at %d streams: %w", len(names), err)
	}
	sights := make([]FirstSight, len(names))
	for i, c := range cmds {
		sights[i] = FirstSight{
			TimeIDs: len(c.early.Val()) == 0 && len(c.late.Val()) == 0,
			Bytes:   c.bytes.Val(),
			Err:     firstError(c.early.Err(), c.late.Err()),
		}
	}
	return sights, nil
}

// Sizes is roughly what each stream takes in memory, in bytes; 0 where it is
// not known.
func (b *Buffer) Sizes(ctx context.Context, names []string) ([]int64, error) {
	pipe := b.rdb.Pipeline()
	cmds := make([]*redis.IntCmd, len(names))
	for i, name := range names {
		cmds[i] = pipe.MemoryUsage(ctx, b.names.StreamKey(name), 1)
	}
	if _, err := pipe.Exec(ctx); IsLost(err) {
		return nil, fmt.Errorf("asking for the sizes of %d streams: %w", len(names), err)
	}
	sizes := make([]int64, len(names))
	for i, cmd := range cmds {
		sizes[i] = cmd.Val()
	}
	return sizes, nil
}

func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// olderScript counts the oldest entries below an id without sending them.
//
// KEYS[1] stream; ARGV[1] id; ARGV[2] most that are counted
// returns the count
var olderScript = newScript(`return #redis.call('XRANGE', KEYS[1], '-', '(' .. ARGV[1], 'COUNT', ARGV[2])`)

// CountBefore counts the entries below id, up to most; the server reads their
// payloads, so most is to be small.
func (b *Buffer) CountBefore(ctx context.Context, stream string, id ID, most int64) (int64, error) {
	n, err := b.evalRead(ctx, olderScript, []scriptCall{{b.names.StreamKey(stream), []any{id.String(), most}}})[0].Int64()
	if err != nil {
		return 0, fmt.Errorf("counting old entries of stream %q: %w", Escape(stream), err)
	}
	return n, nil
}

func texts(v any) []string {
	list, _ := v.([]any)
	var out []string
	for _, item := range list {
		if text, ok := item.(string); ok {
			out = append(out, text)
		}
	}
	return out
}

// NodeLimits is when Redis begins a new macro node of a stream.
type NodeLimits struct{ Bytes, Entries int64 }

// DefaultNodeLimits are Redis's own.
var DefaultNodeLimits = NodeLimits{Bytes: 4096, Entries: 100}

// NodeLimits asks Redis for its limits; where it may not be asked, Redis's
// defaults are assumed.
func (b *Buffer) NodeLimits(ctx context.Context) NodeLimits {
	limits := DefaultNodeLimits
	config, err := b.rdb.ConfigGet(ctx, "stream-node-max-*").Result()
	if err != nil {
		return limits
	}
	for name, into := range map[string]*int64{"stream-node-max-bytes": &limits.Bytes, "stream-node-max-entries": &limits.Entries} {
		if n, err := strconv.ParseInt(config[name], 10, 64); err == nil {
			*into = n
		}
	}
	return limits
}

// EntriesPerNode is the most entries of the given size that a macro node
// holds, at least 1.
func (n NodeLimits) EntriesPerNode(entryBytes int64) int64 {
	most := int64(math.MaxInt32)
	if n.Entries > 0 {
		most = n.Entries
	}
	if n.Bytes > 0 && entryBytes > 0 {
		most = min(most, n.Bytes/entryBytes+1)
	}
	return max(1, most)
}
