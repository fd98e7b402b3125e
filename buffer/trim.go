package buffer

import (
	"context"
	"fmt"
	"slices"
	"strconv"

	"github.com/redis/go-redis/v9"

	"github.com/streamkeeper/streamkeeper/internal/human"
	"github.com/streamkeeper/streamkeeper/internal/redisconn"
)

// TrimRequest is one bounded command that removes the oldest entries of a stream,
// either down to a length or below an id. What it keeps is part of the command,
// so it is right whatever else happens to the stream meanwhile.
type TrimRequest struct {
	Stream string
	// MaxLen is how many of the newest entries stay. It counts unless Before
	// is set.
	MaxLen int64
	// Before is the id below which entries go.
	Before ID
	// MinAgeFloor is the id from which on entries are too young to go, whatever
	// MaxLen says; 0-0 for none.
	MinAgeFloor ID
	// Groups, if set, keeps what a consumer group still needs. As XTRIM knows no
	// groups, trimScript carries the request out then.
	Groups *GroupLimits
	// Limit is the most that one call removes, in entries; at least 1. An
	// approximate call removes whole macro nodes, and so nothing at all where
	// Limit is less than the entries of the first one.
	Limit int64
	// Exact removes single entries of a macro node too.
	Exact bool
}

// TrimResult is the outcome of a [TrimRequest].
type TrimResult struct {
	// Removed is a number of entries.
	Removed int64
	// HeldBy is the consumer group because of which less went than would have,
	// empty if none.
	HeldBy string
	// Floor is the id from which on nothing may go, because it is too young or
	// because the consumer group FloorGroup needs it; 0-0 if there is none, or if
	// it was not looked for. It need not have held this request back.
	Floor      ID
	FloorGroup string
	// WithoutConsumers are the groups without consumers, if groups were looked at:
	// Redis does not know since when they have been so.
	WithoutConsumers []string
	Err              error
	// Unknown: no reply came, so entries may have gone nevertheless.
	Unknown bool
}

// fail takes in why a call failed.
func (r *TrimResult) fail(err error) { r.Err, r.Unknown = err, redisconn.Unanswered(err) }

// trimScript trims where the answer depends on more than XTRIM can look at:
// length together with a floor, consumer groups, and the entries of a macro
// node. All of it is read here, so that two instances at once remove no more than
// one would. Exact MINID is not used, since after an XDEL it can leave a macro
// node behind that has no entry; the entries are counted and cut by length.
//
// KEYS[1] stream
// ARGV[1] length to keep, or -1; ARGV[2] id below which entries go, or empty;
// ARGV[3] id from which on entries are too young to go, or empty; ARGV[4] limit;
// ARGV[5] "1" for exact; ARGV[6] ms after which an idle group counts no longer, or
// -1 to look at no group; ARGV[7…] groups to ignore
// returns {removed, name of the group that held it back or empty, names of the groups without consumers,
// id from which on nothing goes or empty, name of the group that needs it or empty}
var trimScript = redisconn.NewScript(`
local key = KEYS[1]
` + groupFloorLua + `
local maxlen, before = tonumber(ARGV[1]), ARGV[2]
local limit, exact = tonumber(ARGV[4]), ARGV[5] == '1'
local floor, floorGroup, consumerless = groupFloor(ARGV[3], tonumber(ARGV[6]))
local function answer(removed, heldBy) return {removed, heldBy, consumerless, floor, floorGroup} end

-- Where the floor bounds what goes, its group, if it has one, may hold something back.
local length, surplus, mayHold = redis.call('XLEN', key), 0, floorGroup
if before == '' then
  surplus = length - maxlen
  if surplus <= 0 then return answer(0, '') end
elseif floor ~= '' and less(floor, before) then
  before = floor
else
  mayHold = ''
end

-- The group that holds the rest back, if it does: where as many as the rest, or as a macro
-- node usually has, lie below the id, it is their macro node that was too large to go.
local function heldBy(removed, below, most)
  local rest = math.min(most - removed, ` + strconv.FormatInt(DefaultNodeLimits.Entries+1, 10) + `)
  if rest <= 0 or mayHold == '' then return '' end
  if #redis.call('XRANGE', key, '-', '(' .. below, 'COUNT', rest) >= rest then return '' end
  return mayHold
end

if not exact then
  if before ~= '' then
    local removed = redis.call('XTRIM', key, 'MINID', '~', before, 'LIMIT', limit)
    return answer(removed, heldBy(removed, before, limit))
  end
  if floor == '' then return answer(redis.call('XTRIM', key, 'MAXLEN', '~', maxlen, 'LIMIT', limit), '') end
  local most = math.min(surplus, limit)
  local removed = redis.call('XTRIM', key, 'MINID', '~', floor, 'LIMIT', most)
  return answer(removed, heldBy(removed, floor, most))
end

local want, below
if before == '' then
  want, below = math.min(surplus, limit), floor
else
  want, below = limit, before
end
if below ~= '' then
  local found = #redis.call('XRANGE', key, '-', '(' .. below, 'COUNT', want)
  if found >= want then mayHold = '' end
  want = found
end
if want <= 0 then return answer(0, mayHold) end
return answer(redis.call('XTRIM', key, 'MAXLEN', '=', length - want), mayHold)
`)

// AsSent is a call as it is sent to the server at hand: exact where it may not be
// trusted with MINID. The exact way counts the entries, and does without.
func (b *Buffer) AsSent(t TrimRequest) TrimRequest {
	t.Exact = t.Exact || !trustsMinID(b.server) && (!t.Before.IsZero() || !t.MinAgeFloor.IsZero() || t.Groups != nil)
	return t
}

// Trims carries the calls out in one pipeline, in order, and sends none of them
// twice. An error means that the connection broke: each outcome says what became of
// its call.
func (b *Buffer) Trims(ctx context.Context, calls []TrimRequest) ([]TrimResult, error) {
	outcomes := make([]TrimResult, len(calls))
	calls = slices.Clone(calls)
	var plain []int
	var scripted []int
	for i, t := range calls {
		t = b.AsSent(t)
		calls[i] = t
		if t.Exact || !t.MinAgeFloor.IsZero() || t.Groups != nil {
			scripted = append(scripted, i)
		} else {
			plain = append(plain, i)
		}
	}
	if err := b.plainTrims(ctx, calls, plain, outcomes); err != nil {
		for _, i := range scripted {
			outcomes[i].Err = err // they were not sent
		}
		return outcomes, err
	}
	return outcomes, b.scriptedTrims(ctx, calls, scripted, outcomes)
}

func (b *Buffer) plainTrims(ctx context.Context, calls []TrimRequest, indexes []int, outcomes []TrimResult) (lost error) {
	if len(indexes) == 0 {
		return nil
	}
	cmds := make([]redis.Cmder, len(indexes))
	trims := make([]*redis.IntCmd, len(indexes))
	for n, i := range indexes {
		t := calls[i]
		args := []any{"xtrim", b.names.StreamKey(t.Stream), "maxlen", "~", t.MaxLen, "limit", max(1, t.Limit)}
		if !t.Before.IsZero() {
			args[2], args[4] = "minid", t.Before.String()
		}
		trims[n] = redis.NewIntCmd(ctx, args...)
		cmds[n] = trims[n]
	}
	b.conn.Once(ctx, cmds)
	for n, i := range indexes {
		removed, err := trims[n].Result()
		if err == nil {
			outcomes[i].Removed = removed
			continue
		}
		outcomes[i].fail(err)
		if lost == nil && redisconn.IsLost(err) {
			lost = fmt.Errorf("trimming %s: %w", human.Plural(len(indexes), "stream"), err)
		}
	}
	return lost
}

func (b *Buffer) scriptedTrims(ctx context.Context, calls []TrimRequest, indexes []int, outcomes []TrimResult) (lost error) {
	if len(indexes) == 0 {
		return nil
	}
	scripts := make([]redisconn.Call, len(indexes))
	for n, i := range indexes {
		scripts[n] = redisconn.OnKey(b.names.StreamKey(calls[i].Stream), calls[i].scriptArgs()...)
	}
	for n, cmd := range b.conn.EvalWrite(ctx, trimScript, scripts) {
		err := outcomes[indexes[n]].take(cmd.Slice())
		if lost == nil && redisconn.IsLost(err) {
			lost = fmt.Errorf("trimming stream %s: %w", Quote(calls[indexes[n]].Stream), err)
		}
	}
	return lost
}

// take takes in what trimScript returned.
func (r *TrimResult) take(reply []any, err error) error {
	if err == nil && len(reply) != 5 {
		err = fmt.Errorf("%w: %d values instead of 5", redisconn.ErrIncomplete, len(reply))
	}
	if err != nil {
		r.fail(err)
		return err
	}
	r.Removed, _ = reply[0].(int64)
	r.HeldBy, _ = reply[1].(string)
	r.WithoutConsumers = texts(reply[2])
	if floor, _ := reply[3].(string); floor != "" {
		r.Floor, r.Err = ParseID(floor)
		r.FloorGroup, _ = reply[4].(string)
	}
	return r.Err
}

func (t TrimRequest) scriptArgs() []any {
	args := []any{"-1", "", "", strconv.FormatInt(max(1, t.Limit), 10), "0", "-1"}
	if t.Before.IsZero() {
		args[0] = strconv.FormatInt(t.MaxLen, 10)
	} else {
		args[1] = t.Before.String()
	}
	if !t.MinAgeFloor.IsZero() {
		args[2] = t.MinAgeFloor.String()
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

// trustsMinID reports whether MINID removes only what it should: before 6.2.7
// ids more than 24 days apart in one macro node overflow, and all of it goes
// (redis #9410).
func trustsMinID(s redisconn.Server) bool { return s.AtLeast(6, 2, 7) }
