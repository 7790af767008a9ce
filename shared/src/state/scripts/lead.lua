-- lead: who leads the coordinators. Twin: pool/leader.rs.
--
-- KEYS  1 leader  hash: owner, address, fence, until, now, wall; numbers as decimals
-- ARGV  1 owner, 2 its address, 3 take, resign or look (which writes nothing)
-- Returns packed {owner, address, fence, remaining milliseconds}.
local LEADER = KEYS[1]
local STEP_MAX_MS, LEADER_TTL_MS = 2000, 6000

local candidate, its_address, action = ARGV[1], ARGV[2], ARGV[3]
local kept = redis.call('HMGET', LEADER, 'owner', 'address', 'fence', 'until', 'now', 'wall')
local owner, address = kept[1] or '', kept[2] or ''
local fence, free_at = tonumber(kept[3] or 0), tonumber(kept[4] or 0)
local now, wall = tonumber(kept[5] or 0), tonumber(kept[6] or 0)

local server = server_clock()
now = now + math.min(math.max(server - wall, 0), STEP_MAX_MS)
wall = server

local is_held = owner ~= '' and now < free_at
if action == 'resign' and owner == candidate then
  owner, address, free_at = '', '', 0
elseif action == 'take' and (owner == candidate or not is_held) then
  -- Also greater than any that a store gave that has lost its data since.
  if owner ~= candidate then fence = math.max(fence + 1, wall) end
  owner, address, free_at = candidate, its_address, now + LEADER_TTL_MS
end

if action ~= 'look' then
  local function decimal(number) return string.format('%.0f', number) end
  redis.call('HSET', LEADER, 'owner', owner, 'address', address, 'fence', decimal(fence),
    'until', decimal(free_at), 'now', decimal(now), 'wall', decimal(wall))
end
if owner == '' or now >= free_at then owner, address, free_at = '', '', now end
return cmsgpack.pack({ owner, address, fence, free_at - now })
