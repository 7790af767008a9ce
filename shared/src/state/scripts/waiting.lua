-- Waiting: what stands in a claim's way, when that may pass, and the queue that it waits in. Twin: pool/waiting.rs.
--
-- A function costs its making in every call of a script; these are made by the first one that meets a waiter.
local LOOK_AHEAD, SCANS_MAX = 16, 8
local PRIORITY_BAND = 4398046511104
local RETRY_SLOT_MS = 1000
local LIMITED, TOO_LARGE, QUEUE_FULL, SHED, UNAVAILABLE, RETRY_BUDGET, THROTTLED = 0, 1, 2, 3, 4, 5, 6

-- The earliest opening of anything that a waiter was found to wait for; 0: none.
local next_opening = 0

local function add_queued(model, by)
  queued[model] = (queued[model] or 0) + by
end

local made
local function waiting()
  if made then return made end
  local scans = 0

  local function split_member(member)
    local session, ticket = string.match(member, '^(.*):(%d+)$')
    return session, tonumber(ticket)
  end

  local alive = {}
  local function is_alive(session)
    if alive[session] == nil then alive[session] = redis.call('ZSCORE', EXPIRY, session) and true or false end
    return alive[session]
  end

  local function forget(model, member)
    if redis.call('ZREM', queue_key(model), member) == 1 then add_queued(model, -1) end
    redis.call('HDEL', WAITERS, member)
  end

  local function cancel(session, model, ticket)
    if model >= pool[N_MODELS] then return end
    local member = session .. ':' .. ticket
    if redis.call('ZREM', queue_key(model), member) == 1 then
      add_queued(model, -1)
      redis.call('HDEL', WAITERS, member)
    end
  end

  -- When enough old buckets will have left for `needed` to fit; nil if it never fits.
  local function opens_at(row, at, needed)
    local kind, offset = row[at], row[at + OFFSET]
    local length = RING[kind]
    local missing = row[at + TOTAL] + needed - limit_now(row, at)
    if limit_now(row, at) < row[at + LIMIT] then missing = math.min(missing, row[at + TOTAL]) end
    local bytes = ''
    if not cleared_rings[offset] then
      bytes = redis.call('GETRANGE', WINDOWS, offset * 8, (offset + length) * 8 - 1)
    end
    for bucket = row[at + LAST] - length + 1, row[at + LAST] do
      local place = bucket % length
      local slot = offset + place
      local stored = 0
      if not cleared[slot] and #bytes >= (place + 1) * 8 then
        stored = struct.unpack('>i8', bytes, place * 8 + 1)
      end
      missing = missing - stored - (added[slot] or 0)
      if missing <= 0 then return (bucket + length) * BUCKET_MS[kind] end
    end
    return nil
  end

  local function too_large_for(index, tokens)
    local row = rows[index]
    for at = FIRST_WINDOW, #row, WINDOW_SIZE do
      if cost(row[at], tokens) > row[at + LIMIT] then return row[at] + 1 end
    end
    return nil
  end

  -- The rows of a candidate, the caller's own left out.
  local function candidate_rows(model, position)
    local list = { model[KEYS_OF][position] }
    for _, row in ipairs(model[SCOPES][position] or {}) do list[#list + 1] = row end
    return list
  end

  -- Why waiting can never help: reason, row, limit kind; nil if it can.
  local function never_fits(model, waiter)
    local tokens, callers, allow = waiter[TOKENS], waiter[CALLERS], waiter[ALLOW]
    for _, row in ipairs(callers or {}) do
      local kind = too_large_for(row, tokens)
      if kind then return TOO_LARGE, row, kind end
    end
    if not model then return UNAVAILABLE, 0, 0 end
    local first_row, first_kind
    for position = 1, #model[IDS] do
      if allows(allow, model[IDS][position]) then
        local found
        for _, row in ipairs(candidate_rows(model, position)) do
          local kind = too_large_for(row, tokens)
          if kind then
            found = true
            if not first_row then first_row, first_kind = row, kind end
            break
          end
        end
        if not found then return nil end
      end
    end
    if first_row then return TOO_LARGE, first_row, first_kind end
    return UNAVAILABLE, 0, 0
  end

  -- Why waiting cannot help as things stand: no candidate is left that time could bring back, or that the claim fits.
  local function never_now(model, waiter)
    local reason, row, kind = never_fits(model, waiter)
    if reason then return reason, row, kind end
    for position = 1, #model[IDS] do
      local health = rows[model[KEYS_OF][position]][HEALTH]
      if allows(waiter[ALLOW], model[IDS][position]) and not (health and is_hopeless(health)) then return nil end
    end
    return UNAVAILABLE, 0, 0
  end

  -- A key that is out, by itself for a while or until somebody brings it back: reason, and the time at which it opens.
  local function health_blocker(index)
    local health = rows[index][HEALTH]
    if not health then return nil end
    local is_shut = health[OPEN_AT] > pool[NOW]
    if is_hopeless(health) then return UNAVAILABLE, nil end
    if health[STATE] == OK then
      if is_shut then return THROTTLED, health[OPEN_AT] end
      return nil
    end
    if is_shut then return UNAVAILABLE, health[OPEN_AT] end
    if health[STATE] == EJECTED then return nil end
    return UNAVAILABLE, nil
  end

  -- What a row sets against a request: limit kind and the time at which it opens by itself; nil if it admits it.
  local function row_blocker(index, tokens)
    local row = rows[index]
    for at = FIRST_WINDOW, #row, WINDOW_SIZE do
      local needed = cost(row[at], tokens)
      if row[at + TOTAL] + needed > limit_now(row, at) then
        scans = scans + 1
        if scans <= SCANS_MAX then return row[at] + 1, opens_at(row, at, needed) end
        return row[at] + 1, (row[at + LAST] + 1) * BUCKET_MS[row[at]]
      end
    end
    local slots = slots_now(row)
    if slots > 0 and row[IN_USE] >= slots then return 0, nil end
    return nil
  end

  -- What stands in a waiter's way: its own scope, else whichever candidate opens first. Returns row, kind, time, reason.
  local function blocker(model, waiter)
    local tokens, allow = waiter[TOKENS], waiter[ALLOW]
    for _, row in ipairs(waiter[CALLERS] or {}) do
      local kind, at = row_blocker(row, tokens)
      if kind then return row, kind, at, LIMITED end
    end
    local first_row, first_kind, first_at, first_reason = nil, nil, nil, nil
    local function note(row, kind, at, reason)
      if not first_row or (at and (not first_at or at < first_at)) then
        first_row, first_kind, first_at, first_reason = row, kind, at, reason
      end
    end
    for position = 1, #model[IDS] do
      if allows(allow, model[IDS][position]) then
        local key = model[KEYS_OF][position]
        local reason, opens = health_blocker(key)
        if reason then
          note(key, 0, opens, reason)
        else
          for _, row in ipairs(candidate_rows(model, position)) do
            local kind, at = row_blocker(row, tokens)
            if kind then
              note(row, kind, at, LIMITED)
              break
            end
          end
        end
      end
    end
    return first_row or 0, first_kind or 0, first_at, first_reason or LIMITED
  end

  -- Closes the rows on which a blocked waiter lacks tokens: its own scope's if that is what blocks it.
  local function close_rows(model, waiter, is_caller_blocked)
    local tokens = waiter[TOKENS]
    local function close(index)
      local row = rows[index]
      for at = FIRST_WINDOW, #row, WINDOW_SIZE do
        if COUNTS_TOKENS[row[at]] and row[at + TOTAL] + tokens > limit_now(row, at) then
          closed[index] = true
          room[index] = nil
        end
      end
    end
    if is_caller_blocked then
      for _, row in ipairs(waiter[CALLERS]) do close(row) end
      return
    end
    for position = 1, #model[IDS] do
      if allows(waiter[ALLOW], model[IDS][position]) then
        for _, row in ipairs(candidate_rows(model, position)) do close(row) end
      end
    end
  end

  -- Puts a claim that was not granted into its queue, or rejects it.
  local function enqueue(session, cursor, claim, places, rejected)
    local index, ticket, score = cursor.index, claim[TICKET], claim[SCORE]
    if claim[NO_QUEUE] then
      local row, kind, at, reason = blocker(cursor.model, claim)
      local retry = at and math.max(at - pool[NOW], 0) or RETRY_SLOT_MS
      rejected[#rejected + 1] = { ticket, reason, row, kind, retry }
      return
    end
    local queue = queue_key(index)
    if (queued[index] or 0) >= pool[QUEUE_MAX] then
      local tail = redis.call('ZRANGE', queue, -1, -1, 'WITHSCORES')
      if not tail[1] or tonumber(tail[2]) <= score then
        rejected[#rejected + 1] = { ticket, QUEUE_FULL, 0, 0, RETRY_SLOT_MS }
        return
      end
      forget(index, tail[1])
      local owner, shed = split_member(tail[1])
      if is_alive(owner) then
        local mail = mail_for(owner)
        mail[2][#mail[2] + 1] = { shed, SHED, 0, 0, RETRY_SLOT_MS }
      end
    end
    local member = session .. ':' .. ticket
    redis.call('ZADD', queue, score, member)
    redis.call('HSET', WAITERS, member, cmsgpack.pack(claim))
    add_queued(index, 1)
    places[#places + 1] = { ticket, score % PRIORITY_BAND, queued[index] }
  end

  made = {
    split_member = split_member,
    is_alive = is_alive,
    forget = forget,
    cancel = cancel,
    never_fits = never_fits,
    never_now = never_now,
    blocker = blocker,
    close_rows = close_rows,
    enqueue = enqueue,
  }
  return made
end
