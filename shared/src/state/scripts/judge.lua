-- judge: changes a key's health by what a probe found, or by an operator's word. Twin: pool/judge.rs.
--
-- ARGV  1 packed {fence, row, version or false, verdict}, 2 channel prefix
-- Returns packed {status, tick, now, wall, generation, base, learning until}.
local UP, REACHABLE, DOWN, ENABLE, DRAIN = 0, 1, 2, 3, 4
local DRAINED, DISABLED = 1, 2

local judgement = cmsgpack.unpack(ARGV[1])
local fence, index, seen, verdict = judgement[1], judgement[2], judgement[3], judgement[4]

if not advance() then return cmsgpack.pack({ NO_EPOCH, 0, 0, 0, 0, 0, 0 }) end
if is_fenced(fence) then return answer(FENCED) end
-- A model came in between the look at the catalog, which says how many queues there are, and this call.
if #KEYS - QUEUES + 1 < pool[N_MODELS] then return answer(STALE) end
-- The catalog alone knows which rows are keys, and is only read here, where nothing is in a hurry.
local declared = cmsgpack.unpack(redis.call('HGET', META, 'catalog'))[5][index + 1]
if not declared or declared[1] ~= 'key' then return answer(STALE) end
load_rows({ index })
local row = rows[index]
if seen and seen ~= (row[HEALTH] and row[HEALTH][STATE_VERSION] or 0) then return answer(STALE) end

pool[TICK] = pool[TICK] + 1
local health = health_of(row)
if verdict == UP then
  if health[STATE] ~= OK then sickness().recover(health) end
elseif verdict == REACHABLE then
  if health[STATE] ~= OK and health[STATE] ~= EXHAUSTED then sickness().recover(health) end
elseif verdict == DOWN then
  if health[STATE] == OK then sickness().eject(index) end
elseif verdict == ENABLE then
  -- Nothing is held against a key that an operator vouches for.
  row[HEALTH] = false
  local clean = health_of(row)
  clean[STATE_VERSION], clean[RECOVERED_AT], clean[COUNTED_SINCE] = health[STATE_VERSION] + 1, pool[NOW], pool[NOW]
else
  health[ADMIN], health[STATE_VERSION] = verdict == DRAIN and DRAINED or DISABLED, health[STATE_VERSION] + 1
  sickness().open_the_last(index)
end
touch(index)
-- Claims come from sessions; this only serves those that wait already.
admit('', {})
write_store()
post_mail('', ARGV[2])
return answer(DONE)
