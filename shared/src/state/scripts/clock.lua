-- The bounded clock. Twin: pool/clock.rs.
local STEP_MAX_MS = 2000

-- Packed in this order in meta.pool. `queued` is {model, waiters, ...} of the queues that are not empty.
local now, wall, run, generation, base, learning_until, epoch, tick
local version, sequence, anomalies, reclaimed, queue_max, n_models, queued

local function pool_fields()
  local flat, n = {}, 0
  for model, length in pairs(queued) do
    if length > 0 then
      flat[n + 1], flat[n + 2] = model, length
      n = n + 2
    end
  end
  return pack({
    now, wall, run, generation, base, learning_until, epoch, tick,
    version, sequence, anomalies, reclaimed, queue_max, n_models, flat,
  })
end

-- Reads the pool's clock and counters as the last call left them; false before the first epoch.
local function peek()
  local fields = call('HGET', META, 'pool')
  if not fields then return false end
  local flat
  now, wall, run, generation, base, learning_until, epoch, tick,
    version, sequence, anomalies, reclaimed, queue_max, n_models, flat = unpack(decode(fields))
  queued = {}
  for i = 1, #flat, 2 do queued[flat[i]] = flat[i + 1] end
  return true
end

-- Reads them moved to the present; false before the first epoch.
--
-- A restart of the server is kept even if this call is refused: it is the only thing written here.
local function advance()
  if not peek() then return false end
  local last, server_run = wall, nil
  wall, server_run = server_clock()
  now = now + math.min(math.max(wall - last, 0), STEP_MAX_MS)
  if server_run ~= run then
    run, generation, base, learning_until = server_run, now, tick, now + SESSION_TTL_MS
    call('HSET', META, 'pool', pool_fields())
  end
  return true
end

local function is_learning()
  return now < learning_until
end
