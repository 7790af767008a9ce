-- Sessions: who holds what, and how long they live. Twin: pool/session.rs.
local RENEWED_LATELY_MS = 2000
local LEARNING_EMPTY_MS = 2000

-- Its waiters vanish when they come to the head of their queue.
local function reap(session)
  if not redis.call('HGET', SESSIONS, session) then return end
  local held, indexes = holding(session), {}
  for index in pairs(held) do indexes[#indexes + 1] = index end
  load_rows(indexes)
  for _, index in ipairs(indexes) do
    local health = rows[index][HEALTH]
    if health then end_trial(health, session) end
    rows[index][IN_USE] = rows[index][IN_USE] - held[index]
    pool[RECLAIMED] = pool[RECLAIMED] + held[index]
    touch(index)
  end
  holdings[session] = {}
  changed_holdings[session] = true
  redis.call('HDEL', SESSIONS, session)
  redis.call('ZREM', EXPIRY, session)
  redis.call('HDEL', MAIL, session)
end

-- Takes back what dead sessions held: of all of them, or of a few.
local function reap_expired(but, limit)
  local expired = redis.call('ZRANGEBYSCORE', EXPIRY, '-inf', pool[NOW], 'LIMIT', '0', limit or '-1')
  for _, session in ipairs(expired) do
    if session ~= but then reap(session) end
  end
end

-- The earliest moment at which a waiter may be helped by time: an opening, a reap, the end of learning.
local function next_moment(session)
  if not next(queued) then return 0 end
  local is_waited_for = false
  for _, length in pairs(queued) do
    if length > 0 then is_waited_for = true end
  end
  if not is_waited_for then return 0 end
  if is_learning() then return pool[LEARNING_UNTIL] end
  local moment = next_opening
  local first = redis.call('ZRANGE', EXPIRY, 0, 1, 'WITHSCORES')
  for i = 1, #first, 2 do
    if first[i] ~= session then
      local expires = tonumber(first[i + 1])
      if moment == 0 or expires < moment then moment = expires end
      break
    end
  end
  return moment
end

-- Posts to others what this script decided for them: the message is the grant itself, the mailbox is the truth.
local function post_mail(but, channels)
  for session, mail in pairs(mails) do
    if session ~= but then
      local packed = redis.call('HGET', MAIL, session)
      local kept = packed and cmsgpack.unpack(packed) or { {}, {} }
      for _, granted in ipairs(mail[1]) do table.insert(kept[1], granted) end
      for _, refused in ipairs(mail[2]) do table.insert(kept[2], refused) end
      redis.call('HSET', MAIL, session, cmsgpack.pack(kept))
      -- Lost or refused, it is only a hint.
      redis.pcall('PUBLISH', channels .. session, cmsgpack.pack(mail))
    end
  end
end

-- Empties a session's mailbox, with what this script just posted to it.
local function take_mail(session)
  local packed = redis.call('HGET', MAIL, session)
  local mail = packed and cmsgpack.unpack(packed) or { {}, {} }
  if packed then redis.call('HDEL', MAIL, session) end
  local posted = mails[session]
  if posted then
    for _, granted in ipairs(posted[1]) do table.insert(mail[1], granted) end
    for _, refused in ipairs(posted[2]) do table.insert(mail[2], refused) end
  end
  return mail
end
