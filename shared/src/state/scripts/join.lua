-- What boot, assert and bye share. Twin: pool/session.rs.

local function answer(status)
  return pack({ status, tick, now, wall, generation, base, learning_until })
end

-- The pool as a joining session finds it: with an epoch and a catalog.
local function begin(blob)
  if not advance() then
    wall, run = server_clock()
    now, generation, base, learning_until, epoch, tick = wall, wall, 0, wall + LEARNING_EMPTY_MS, wall, 0
    -- Waiters asserted from an earlier epoch stay ahead of new ones.
    sequence, anomalies, reclaimed = wall, 0, 0
    install(blob)
  end
end

local function open(session, replica)
  call('HSET', SESSIONS, session, pack({ 0, '', replica }))
  call('ZADD', EXPIRY, now + SESSION_TTL_MS, session)
end

