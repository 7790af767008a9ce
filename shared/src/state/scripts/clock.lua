-- The bounded clock. Twin: pool/clock.rs.

-- The pool's clock and counters, and how many wait for each model.
local pool, queued

-- Reads them as the last call left them; false before the first epoch.
local function peek()
  local packed = redis.call('HGET', META, 'pool')
  if not packed then return false end
  pool, queued = cmsgpack.unpack(packed), {}
  local flat = pool[QUEUED]
  for i = 1, #flat, 2 do queued[flat[i]] = flat[i + 1] end
  return true
end

local function packed_pool()
  local flat, n = {}, 0
  for model, length in pairs(queued) do
    if length > 0 then
      flat[n + 1], flat[n + 2] = model, length
      n = n + 2
    end
  end
  pool[QUEUED] = flat
  return cmsgpack.pack(pool)
end

-- Reads them moved to the present; false before the first epoch.
--
-- A restart of the server is kept even if this call is refused: it is the only thing written here.
local function advance()
  if not peek() then return false end
  local wall, run = server_clock()
  pool[NOW] = pool[NOW] + math.min(math.max(wall - pool[WALL], 0), STEP_MAX_MS)
  pool[WALL] = wall
  if run ~= pool[RUN] then
    -- By the server's clock, because a snapshot that is loaded twice would count to the same logical time twice.
    pool[RUN], pool[GENERATION], pool[BASE] = run, wall, pool[TICK]
    pool[LEARNING_UNTIL] = pool[NOW] + SESSION_TTL_MS
    -- Arrivals count on from the clock, as in a new epoch: whoever waited before stays ahead of new ones.
    pool[SEQUENCE] = math.max(pool[SEQUENCE], wall)
    redis.call('HSET', META, 'pool', packed_pool())
  end
  return true
end

local function is_learning()
  return pool[NOW] < pool[LEARNING_UNTIL]
end
