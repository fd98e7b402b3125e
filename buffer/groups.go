package buffer

import (
	"context"
	"fmt"
	"time"
)

// GroupGuard says which consumer groups hold trimming back.
type GroupGuard struct {
	// IdleAfter is how long all consumers of a group must have been idle for
	// the group to count no longer.
	IdleAfter time.Duration
	// Ignore names groups without consumers that count no longer.
	Ignore []string
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
if idle >= 0 and redis.call('EXISTS', key) == 1 then
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
			return nil, fmt.Errorf("asking for the consumer groups of stream %s: %w", Quote(streams[i]), err)
		}
		floors[i].Err = err
		if len(reply) == 2 && reply[1] != "" {
			floors[i].Group = reply[0]
			floors[i].Needed, floors[i].Err = ParseID(reply[1])
		}
	}
	return floors, nil
}
