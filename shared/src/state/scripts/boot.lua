-- boot: opens a session; begins the epoch if the store is empty. Twin: Pool::boot.
--
-- ARGV  1 session, 2 replica, 3 catalog
-- Returns packed {status, tick, now, wall, generation, base, learning until}.
local session, replica, blob = ARGV[1], ARGV[2], ARGV[3]

local again = joined_before(session)
if again then return again end
begin(blob)
local older = {}
local known = redis.call('HGETALL', SESSIONS)
for i = 1, #known, 2 do
  if cmsgpack.unpack(known[i + 1])[3] == replica then
    local renewed = tonumber(redis.call('ZSCORE', EXPIRY, known[i])) - SESSION_TTL_MS
    if pool[NOW] - renewed < RENEWED_LATELY_MS then
      -- Time is kept, alone of refused calls: there may be nobody else to move it until the name is free.
      redis.call('HSET', META, 'pool', packed_pool())
      return answer(DUPLICATE)
    end
    older[#older + 1] = known[i]
  end
end
pool[TICK] = pool[TICK] + 1
reap_expired()
for _, predecessor in ipairs(older) do reap(predecessor) end
if redis.call('ZCARD', EXPIRY) == 0 and not has_leader() then
  local catalog = cmsgpack.unpack(blob)
  if catalog[1] == pool[VERSION] + 1 and redis.call('HGET', META, 'hash') ~= catalog[2] then install(blob) end
end
open(session)
write_store()
return joined(session, replica)
