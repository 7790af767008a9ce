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

local function open(session, replica)
  redis.call('HSET', SESSIONS, session, cmsgpack.pack({ 0, '', replica }))
  redis.call('ZADD', EXPIRY, pool[NOW] + SESSION_TTL_MS, session)
end

