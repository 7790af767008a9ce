-- Who leads the coordinators, as far as others must know. The record is written by `lead`: a hash of owner, address,
-- fence, and until, now, wall, the leadership's own bounded clock.

local LEADER_GONE_MS = 8000

-- Whether a newer leader than the one of `fence` acts; 0 is an operator, who is bound to none.
local function is_fenced(fence)
  if fence == 0 then return false end
  local leader = redis.call('HGET', LEADER, 'fence')
  return leader and tonumber(leader) > fence
end

-- Whether somebody leads, by the clock as the pool has just read it.
local function has_leader()
  local leader = redis.call('HMGET', LEADER, 'fence', 'until', 'now', 'wall')
  if not leader[1] or tonumber(leader[1]) == 0 then return false end
  -- A dead leader's clock stands still: nobody calls who would move it.
  if pool[WALL] - tonumber(leader[4]) > LEADER_GONE_MS then return false end
  local passed = math.min(math.max(pool[WALL] - tonumber(leader[4]), 0), STEP_MAX_MS)
  return tonumber(leader[2]) > tonumber(leader[3]) + passed
end
