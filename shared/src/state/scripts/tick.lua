-- tick: one batch of a session. The only hot script.
--
-- ARGV  1 session, 2 batch number, 3 catalog version, 4 packed {releases, cancels, acquires}, 5 channel prefix
-- Returns packed {status, tick, now, wall, generation, base, last batch, learning until, next, grants, queue places,
-- rejections, mail, sessions, anomalies, reclaimed}; the first seven only where status is not 0.
local session, seq = ARGV[1], tonumber(ARGV[2])

if not advance() then return cmsgpack.pack({ NO_EPOCH, 0, 0, 0, 0, 0, 0 }) end
local function refuse(status, last)
  return cmsgpack.pack({ status, pool[TICK], pool[NOW], pool[WALL], pool[GENERATION], pool[BASE], last })
end
if tonumber(ARGV[3]) ~= pool[VERSION] then return refuse(CATALOG, 0) end
local packed_session = redis.call('HGET', SESSIONS, session)
if not packed_session then return refuse(GONE, 0) end
local known = cmsgpack.unpack(packed_session)
local last = known[1]
-- The batch has run: its reply was lost on the way. Nothing is written, not even a renewal.
if seq == last and known[2] ~= '' then return known[2] end
if seq <= last then return refuse(OLD, last) end
if seq > last + 1 then return refuse(ROLLBACK, last) end

local operations = cmsgpack.unpack(ARGV[4])
pool[TICK] = pool[TICK] + 1
reap_expired(session, '16')
local lists = load_batch(operations)
settle_all(session, operations[1], lists)
for _, gone in ipairs(operations[2]) do waiting().cancel(session, gone[1], gone[2]) end
local grants, places, rejected = admit(session, operations[3])
local moment = next_moment(session)

write_store()
local mail = take_mail(session)
post_mail(session, ARGV[5])
local reply = cmsgpack.pack({
  DONE, pool[TICK], pool[NOW], pool[WALL], pool[GENERATION], pool[BASE], seq, pool[LEARNING_UNTIL], moment, grants, places, rejected, mail,
  redis.call('ZCARD', EXPIRY), pool[ANOMALIES], pool[RECLAIMED],
})
redis.call('HSET', SESSIONS, session, cmsgpack.pack({ seq, reply, known[3] }))
redis.call('ZADD', EXPIRY, pool[NOW] + SESSION_TTL_MS, session)
return reply
