-- bye: ends a session that holds nothing. Twin: Pool::bye.
--
-- ARGV  1 session
-- Returns packed {status, tick, now, wall, generation, base, learning until}.
local session = ARGV[1]

if not advance() then return cmsgpack.pack({ NO_EPOCH, 0, 0, 0, 0, 0, 0 }) end
if next(holding(session)) then return answer(BUSY) end
pool[TICK] = pool[TICK] + 1
redis.call('HDEL', SESSIONS, session)
redis.call('ZREM', EXPIRY, session)
redis.call('HDEL', MAIL, session)
write_store()
return answer(DONE)
