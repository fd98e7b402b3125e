package buffer

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/streamkeeper/streamkeeper/internal/redisconn"
)

// GroupLimits says which consumer groups hold trimming and retirement back.
type GroupLimits struct {
	// IdleAfter is how long all consumers of a group must have been idle for
	// the group to count no longer.
	IdleAfter time.Duration
	// Ignore names groups without consumers that count no longer.
	Ignore []string
}

// groupsLua reads what is known of consumer groups. It wants key, and defines
// fields (a flat reply as a table), idleTime, unreadFor, givenLately and
// firstPending.
//
// From Redis 7.2 on idle says when a consumer last asked. Before, it says when
// a consumer last got something, so a consumer that polls a quiet stream looks
// idle: there it counts only if something waited to be read. That version also
// brought the field inactive, by which it is known: idleTime says whether the
// server has it.
//
// A group without consumers that was given an entry of the last while had one then:
// what was noted of it before holds no longer, even where the note still stands.
//
// A pending id may be of an entry that is gone. Those below the oldest entry
// are skipped at once; of the others a thousand are read, and the next
// one counts.
const groupsLua = `
local function fields(list)
  local t = {}
  for i = 1, #list, 2 do t[list[i]] = list[i + 1] end
  return t
end
local function idleTime(group)
  local idle, knowsInactive = -1, false
  for _, c in ipairs(redis.call('XINFO', 'CONSUMERS', key, group.name)) do
    local consumer = fields(c)
    local ago = math.max(0, consumer.idle)
    if idle < 0 or ago < idle then idle = ago end
    knowsInactive = knowsInactive or consumer.inactive ~= nil
  end
  return idle, knowsInactive
end
local function unreadFor(group)
  local unread = redis.call('XRANGE', key, '(' .. group['last-delivered-id'], '+', 'COUNT', 1)[1]
  if not unread then return -1 end
  local ms, time = tonumber(unread[1]:match('%d+')), redis.call('TIME')
  if ms < 1e12 then return 0 end
  return math.max(0, time[1] * 1000 + math.floor(time[2] / 1000) - ms)
end
local function givenLately(group, limit)
  local ms, time = tonumber(group['last-delivered-id']:match('%d+')), redis.call('TIME')
  local ago = time[1] * 1000 + math.floor(time[2] / 1000) - ms
  return ago >= 0 and ago <= limit
end
local function firstPending(group)
  if group.pending == 0 then return nil end
  local first = redis.call('XRANGE', key, '-', '+', 'COUNT', 1)[1]
  if not first then return nil end
  local from = first[1]
  for page = 1, 10 do
    local pending = redis.call('XPENDING', key, group.name, from, '+', 100)
    for _, p in ipairs(pending) do
      if #redis.call('XRANGE', key, p[1], p[1]) > 0 then return p[1] end
      from = '(' .. p[1]
    end
    if #pending < 100 then return nil end
  end
  local next = redis.call('XPENDING', key, group.name, from, '+', 1)[1]
  return next and next[1]
end
`

// graceFactor is for how many limits a group still counts that looks idle on a server
// older than Redis 7.2. It does so only while nothing has waited to be read for longer
// than the limit; it protects what is pending and what it has not read.
const graceFactor = 7

// groupFloorLua finds the first id that a consumer group still needs: what was
// not delivered to it, and what was delivered and not acknowledged. It wants key,
// and defines what groupsLua does and
//
//	less(a, b): whether an id is less than another
//	groupFloor(floor, idle): the least of floor, an id or empty, and of what the groups
//	  need that count; the group that needs that, empty for none; and the groups without
//	  consumers. A group counts if a consumer was active within idle ms, or if it has
//	  none and ARGV[7…] does not say to ignore it. A negative idle looks at no group.
var groupFloorLua = groupsLua + `
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
local function counts(group, idle)
  if group.consumers == 0 then return true end
  local ago, knowsInactive = idleTime(group)
  if ago <= idle then return true end
  return not knowsInactive and ago <= ` + strconv.Itoa(graceFactor) + ` * idle and unreadFor(group) <= idle
end

local function groupFloor(floor, idle)
  local floorGroup, consumerless, ignore = '', {}, {}
  if idle < 0 or redis.call('EXISTS', key) == 0 then return floor, floorGroup, consumerless end
  for i = 7, #ARGV do ignore[ARGV[i]] = true end
  for _, g in ipairs(redis.call('XINFO', 'GROUPS', key)) do
    local group = fields(g)
    if group.consumers == 0 then consumerless[#consumerless + 1] = group.name end
    local ignored = group.consumers == 0 and ignore[group.name] and not givenLately(group, idle)
    if not ignored and counts(group, idle) then
      local need, pending = after(group['last-delivered-id']), firstPending(group)
      if pending and less(pending, need) then need = pending end
      if floor == '' or less(need, floor) then floor, floorGroup = need, group.name end
    end
  end
  return floor, floorGroup, consumerless
end
`

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
var floorScript = redisconn.NewScript(`
local key = KEYS[1]
` + groupFloorLua + `
local floor, floorGroup = groupFloor('', tonumber(ARGV[6]))
return {floorGroup, floor}
`)

// GroupFloors asks what the consumer groups of each stream need.
func (b *Buffer) GroupFloors(ctx context.Context, streams []string, limits GroupLimits) ([]GroupFloor, error) {
	calls := make([]redisconn.Call, len(streams))
	for i, stream := range streams {
		calls[i] = redisconn.OnKey(b.names.StreamKey(stream), TrimRequest{Groups: &limits}.scriptArgs()...)
	}
	floors := make([]GroupFloor, len(streams))
	for i, cmd := range b.conn.EvalRead(ctx, floorScript, calls) {
		reply, err := cmd.StringSlice()
		if redisconn.IsLost(err) {
			return nil, fmt.Errorf("asking for the consumer groups of stream %s: %w", Quote(streams[i]), err)
		}
		if err == nil && len(reply) != 2 {
			err = fmt.Errorf("%w: %d values instead of 2", redisconn.ErrIncomplete, len(reply))
		}
		floors[i].Err = err
		if err == nil && reply[1] != "" {
			floors[i].Group = reply[0]
			floors[i].Needed, floors[i].Err = ParseID(reply[1])
		}
	}
	return floors, nil
}
