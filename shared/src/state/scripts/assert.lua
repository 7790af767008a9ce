-- assert: replaces a session that the store lost by what its replica remembers. Twin: Pool::assert.
--
-- ARGV  1 session, 2 replica, 3 predecessor, 4 packed {leases, charges, waiters}, 5 catalog
-- A lease is {model, candidate, callers, count}; a charge {model, candidate, callers, age, requests, tokens, days only};
-- a waiter {acquire, sequence}. Returns packed {status, tick, now, wall, generation, base, learning until}.
local session, replica, predecessor = ARGV[1], ARGV[2], ARGV[3]
local remembered = cmsgpack.unpack(ARGV[4])

local again = joined_before(session)
if again then return again end
begin(ARGV[5])
-- Indexes of another catalog would name other scopes: the replica must translate them first.
if redis.call('HGET', META, 'catalog') ~= ARGV[5] then return answer(CATALOG) end
pool[TICK] = pool[TICK] + 1
reap_expired()
-- The keys that the lost session was trying, of those that it still holds.
local tried = {}
for _, lease in ipairs(remembered[1]) do
  local list = lease_rows(load_model(lease[1]), lease[2], lease[3])
  load_rows(list)
  local health = list[1] and rows[list[1]][HEALTH]
  if health and health[STATE] == TRIED and health[TRIAL] == predecessor then tried[#tried + 1] = list[1] end
end
reap(predecessor)
if is_learning() then
  -- Somebody remembers an epoch before this one, so others may too.
  pool[LEARNING_UNTIL] = math.max(pool[LEARNING_UNTIL], pool[EPOCH] + SESSION_TTL_MS)
end
open(session)

for _, lease in ipairs(remembered[1]) do
  local list = lease_rows(load_model(lease[1]), lease[2], lease[3])
  load_rows(list)
  for _, index in ipairs(list) do
    rows[index][IN_USE] = rows[index][IN_USE] + lease[4]
    hold(session, index, lease[4])
    touch(index)
  end
end

for _, index in ipairs(tried) do
  -- The trial goes on under another session, and any of its leases at the key ends it.
  local health = rows[index][HEALTH]
  health[STATE], health[TRIAL], health[TRIAL_AT] = TRIED, session, 0
end

local IS_DAILY = { [0] = false, false, false, true, true }
for _, charged in ipairs(remembered[2]) do
  local list = lease_rows(load_model(charged[1]), charged[2], charged[3])
  load_rows(list)
  local charged_at = pool[NOW] - charged[4]
  for _, index in ipairs(list) do
    local row = rows[index]
    for at = FIRST_WINDOW, #row, WINDOW_SIZE do
      if IS_DAILY[row[at]] or not charged[7] then
        correct(row, at, charged_at, COUNTS_TOKENS[row[at]] and charged[6] or charged[5])
      end
    end
    touch(index)
  end
end

for _, waiter in ipairs(remembered[3]) do
  local claim = waiter[1]
  local model = claim[MODEL]
  if model < pool[N_MODELS] then
    local member = session .. ':' .. claim[TICKET]
    waiting().forget(model, predecessor .. ':' .. claim[TICKET])
    claim[SCORE] = (10 - claim[PRIORITY]) * PRIORITY_BAND + waiter[2]
    add_queued(model, redis.call('ZADD', queue_key(model), claim[SCORE], member))
    redis.call('HSET', WAITERS, member, cmsgpack.pack(claim))
  end
end
write_store()
return joined(session, replica)
