-- What all entries but the tick share. Twin: pool/session.rs.

local function head(status)
  return { status, pool[TICK], pool[NOW], pool[WALL], pool[GENERATION], pool[BASE], pool[LEARNING_UNTIL] }
end

local function answer(status)
  return cmsgpack.pack(head(status))
end

-- The pool as a joining session finds it: with an epoch and a catalog.
local function begin(blob)
  if not advance() then
    local wall, run = server_clock()
    -- Waiters asserted from an earlier epoch stay ahead of new ones: arrivals count on from the clock.
    pool = { wall, wall, run, wall, 0, wall + LEARNING_EMPTY_MS, wall, 0, 0, wall, 0, 0, 0, 0, {}, 10, wall, 0 }
    queued = {}
    install(blob)
  end
end

local function open(session)
  redis.call('ZADD', EXPIRY, pool[NOW] + SESSION_TTL_MS, session)
end

-- Keeps the answer to a join until the session's first batch: whoever asks again gets the same.
local function joined(session, replica)
  local reply = answer(DONE)
  redis.call('HSET', SESSIONS, session, cmsgpack.pack({ 0, reply, replica }))
  return reply
end

-- The answer to a join that has run already, and whose reply was lost; nil if it has not.
local function joined_before(session)
  local packed = redis.call('HGET', SESSIONS, session)
  if not packed then return nil end
  local known = cmsgpack.unpack(packed)
  if known[1] == 0 then return known[2] end
  peek()
  return answer(DONE)
end
