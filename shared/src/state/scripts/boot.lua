-- boot: opens a session; begins the epoch if the store is empty. Twin: Pool::boot.
--
-- ARGV  1 session, 2 replica, 3 catalog
-- Returns packed {status, tick, now, wall, generation, base, learning until}.
local session, replica, blob = ARGV[1], ARGV[2], ARGV[3]

if call('HEXISTS', SESSIONS, session) == 1 then
  -- The same call again: it has run, and its reply was lost.
  peek()
  return answer(DONE)
end
begin(blob)
local older = {}
local known = call('HGETALL', SESSIONS)
for i = 1, #known, 2 do
  if decode(known[i + 1])[3] == replica then
    local renewed = tonumber(call('ZSCORE', EXPIRY, known[i])) - SESSION_TTL_MS
    if now - renewed < RENEWED_LATELY_MS then
      -- Time is kept, alone of refused calls: there may be nobody else to move it until the name is free.
      call('HSET', META, 'pool', pool_fields())
      return answer(DUPLICATE)
    end
    older[#older + 1] = known[i]
  end
end
tick = tick + 1
reap_expired()
for _, predecessor in ipairs(older) do reap(predecessor) end
if call('ZCARD', EXPIRY) == 0 and call('HGET', META, 'hash') ~= decode(blob)[2] then install(blob) end
open(session, replica)
write_store()
return answer(DONE)
