-- judge: changes a key's health by what a probe found, or by an operator's word. Twin: pool/judge.rs.
--
-- ARGV  1 packed {fence, row, version or false, verdict}, 2 channel prefix
-- Returns packed {status, tick, now, wall, generation, base, learning until}.
local UP, REACHABLE, DOWN, ENABLE, DRAIN, DISABLE = 0, 1, 2, 3, 4, 5
local ENABLED, DRAINED, DISABLED = 0, 1, 2

local judgement = cmsgpack.unpack(ARGV[1])
local fence, index, seen, verdict = judgement[1], judgement[2], judgement[3], judgement[4]

if not advance() then return cmsgpack.pack({ NO_EPOCH, 0, 0, 0, 0, 0, 0 }) end
if is_fenced(fence) then return answer(FENCED) end
-- The catalog alone knows which rows are keys, and is only read here, where nothing is in a hurry.
local declared = cmsgpack.unpack(redis.call('HGET', META, 'catalog'))[5][index + 1]
if not declared or declared[1] ~= 'key' then return answer(STALE) end
load_rows({ index })
local row = rows[index]
if seen and seen ~= (row[HEALTH] and row[HEALTH][STATE_VERSION] or 0) then return answer(STALE) end

pool[TICK] = pool[TICK] + 1
local health = health_of(row)
local function set_admin(admin)
  health[ADMIN], health[STATE_VERSION] = admin, health[STATE_VERSION] + 1
end
if verdict == UP then
  if health[STATE] ~= OK then sickness().recover(health) end
elseif verdict == REACHABLE then
  if health[STATE] ~= OK and health[STATE] ~= EXHAUSTED then sickness().recover(health) end
elseif verdict == DOWN then
  if health[STATE] == OK then sickness().eject(index) end
elseif verdict == ENABLE then
  sickness().recover(health)
  health[ADMIN], health[THROTTLES], health[SLOTS_LEARNED] = ENABLED, 0, 0
elseif verdict == DRAIN then
  set_admin(DRAINED)
else
  set_admin(DISABLED)
end
touch(index)
-- Claims come from sessions; this only serves those that wait already.
admit('', {})
write_store()
post_mail('', ARGV[2])
return answer(DONE)
