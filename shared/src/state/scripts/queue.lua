-- The queue: strict priority, then first come first served, over all models of the pool. Twin: pool/queue.rs.
local GRANTS_MAX, LOOK_AHEAD, SCANS_MAX = 128, 16, 8
local PRIORITY_BAND = 4398046511104
local RETRY_SLOT_MS = 1000
local LIMITED, TOO_LARGE, QUEUE_FULL, SHED, UNAVAILABLE = 0, 1, 2, 3, 4

local scans, next_opening = 0, 0

local function split_member(member)
  local session, ticket = string.match(member, '^(.*):(%d+)$')
  return session, tonumber(ticket)
end

local function add_queued(model, by)
  queued[model] = (queued[model] or 0) + by
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
  for _, row in ipairs(callers) do
    local kind = too_large_for(row, tokens)
    if kind then return TOO_LARGE, row, kind end
  end
  if not model then return UNAVAILABLE, 0, 0 end
  local is_small = tokens <= model[LEAST_TOKENS]
  if is_small and #allow == 0 and #model[IDS] > 0 then return nil end
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

-- What a row sets against a request: limit kind and the time at which it opens by itself; nil if it admits it.
local function row_blocker(index, tokens)
  local row = rows[index]
  for at = FIRST_WINDOW, #row, WINDOW_SIZE do
    local needed = cost(row[at], tokens)
    if row[at + TOTAL] + needed > row[at + LIMIT] then
      scans = scans + 1
      if scans <= SCANS_MAX then return row[at] + 1, opens_at(row, at, needed) end
      return row[at] + 1, (row[at + LAST] + 1) * BUCKET_MS[row[at]]
    end
  end
  if row[SLOTS_MAX] > 0 and row[IN_USE] >= row[SLOTS_MAX] then return 0, nil end
  return nil
end

-- What stands in a waiter's way: its own scope, else whichever candidate opens first. Returns row, kind, time.
local function blocker(model, waiter)
  local tokens, allow = waiter[TOKENS], waiter[ALLOW]
  for _, row in ipairs(waiter[CALLERS]) do
    local kind, at = row_blocker(row, tokens)
    if kind then return row, kind, at end
  end
  local first_row, first_kind, first_at = nil, nil, nil
  for position = 1, #model[IDS] do
    if allows(allow, model[IDS][position]) then
      for _, row in ipairs(candidate_rows(model, position)) do
        local kind, at = row_blocker(row, tokens)
        if kind then
          if not first_row or (at and (not first_at or at < first_at)) then
            first_row, first_kind, first_at = row, kind, at
          end
          break
        end
      end
    end
  end
  return first_row or 0, first_kind or 0, first_at
end

-- Closes the rows on which a blocked waiter lacks tokens: its own scope's if that is what blocks it.
local function close_rows(model, waiter, is_caller_blocked)
  local tokens = waiter[TOKENS]
  local function close(index)
    local row = rows[index]
    for at = FIRST_WINDOW, #row, WINDOW_SIZE do
      if COUNTS_TOKENS[row[at]] and row[at + TOTAL] + tokens > row[at + LIMIT] then
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

local alive = {}
local function is_alive(session)
  if alive[session] == nil then alive[session] = redis.call('ZSCORE', EXPIRY, session) and true or false end
  return alive[session]
end

-- The best waiter of a cursor: from the batch in hand, or the store. Sets cursor.head; false when none is left.
local function advance_cursor(cursor)
  local stored
  if (queued[cursor.index] or 0) > cursor.skipped then
    stored = redis.call('ZRANGE', queue_key(cursor.index), cursor.skipped, cursor.skipped, 'WITHSCORES')
  end
  local fresh = cursor.fresh[cursor.first]
  if stored and stored[1] then
    local score = tonumber(stored[2])
    if not fresh or score < fresh.score then
      cursor.head = { score = score, member = stored[1] }
      return
    end
  end
  cursor.head = fresh or false
end

-- Claims are granted, kept in the queue, or refused; old waiters and new claims alike, best first.
local function pump(session, cursors, grants)
  local n_granted = 0
  while n_granted < GRANTS_MAX do
    local best
    for i = 1, #cursors do
      local cursor = cursors[i]
      if cursor.head == nil then advance_cursor(cursor) end
      if cursor.head and not cursor.is_blocked and (not best or cursor.head.score < best.head.score) then
        best = cursor
      end
    end
    if not best then return end

    local head, model = best.head, best.model
    local owner, ticket, waiter = session, head.ticket, head.waiter
    local is_known = true
    if head.member then
      owner, ticket = split_member(head.member)
      local packed = is_alive(owner) and redis.call('HGET', WAITERS, head.member)
      if packed then
        waiter = cmsgpack.unpack(packed)
        load_rows(waiter[CALLERS])
      else
        -- Its session is gone: nobody is left to be granted anything.
        forget(best.index, head.member)
        best.head, is_known = nil, false
      end
    end

    if is_known then
      local is_caller_blocked = false
      for _, row in ipairs(waiter[CALLERS]) do
        if not row_admits(row, waiter[TOKENS]) then is_caller_blocked = true end
      end
      local position = not is_caller_blocked and pick(model, waiter)
      if position then
        n_granted = n_granted + 1
        local granted = grant(model, position, owner, ticket, waiter)
        if head.member then
          forget(best.index, head.member)
          local mail = mail_for(owner)
          mail[1][#mail[1] + 1] = granted
        else
          best.first = best.first + 1
          grants[#grants + 1] = granted
        end
        best.head = nil
      else
        local reason, row, kind
        if head.member then reason, row, kind = never_fits(model, waiter) end
        if reason then
          -- The catalog changed under it.
          forget(best.index, head.member)
          local mail = mail_for(owner)
          mail[2][#mail[2] + 1] = { ticket, reason, row, kind, RETRY_SLOT_MS }
          best.head = nil
        else
          local _, _, at = blocker(model, waiter)
          if at and (next_opening == 0 or at < next_opening) then next_opening = at end
          close_rows(model, waiter, is_caller_blocked)
          local is_passed_over = is_caller_blocked or #waiter[ALLOW] > 0
          if not is_passed_over or best.skipped + #best.passed >= LOOK_AHEAD then
            best.is_blocked = true
          elseif head.member then
            best.skipped = best.skipped + 1
            best.head = nil
          else
            best.first = best.first + 1
            best.passed[#best.passed + 1] = head
            best.head = nil
          end
        end
      end
    end
  end
  -- There may be room for more: whoever ticks next goes on.
  next_opening = pool[NOW]
end

-- Puts a claim that was not granted into its queue, or rejects it.
local function enqueue(session, cursor, fresh, places, rejected)
  local model, index, ticket = cursor.model, cursor.index, fresh.ticket
  if fresh.no_queue then
    local row, kind, at = blocker(model, fresh.waiter)
    local retry = at and math.max(at - pool[NOW], 0) or RETRY_SLOT_MS
    rejected[#rejected + 1] = { ticket, LIMITED, row, kind, retry }
    return
  end
  local queue = queue_key(index)
  if (queued[index] or 0) >= pool[QUEUE_MAX] then
    local tail = redis.call('ZRANGE', queue, -1, -1, 'WITHSCORES')
    if not tail[1] or tonumber(tail[2]) <= fresh.score then
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
  redis.call('ZADD', queue, fresh.score, member)
  redis.call('HSET', WAITERS, member, cmsgpack.pack(fresh.waiter))
  add_queued(index, 1)
  places[#places + 1] = { ticket, fresh.sequence, queued[index] }
end

-- Admits, queues or rejects the batch's claims, and hands freed capacity to whoever waits.
-- A claim is {ticket, model, priority, tokens, callers, allow, no_queue}. Returns grants, queue places, rejections.
local function admit(session, acquires)
  local grants, places, rejected, cursors, by_model = {}, {}, {}, {}, {}
  local function cursor_of(index)
    local cursor = by_model[index]
    if not cursor then
      cursor = { index = index, model = load_model(index), skipped = 0, first = 1, fresh = {}, passed = {} }
      if cursor.model then load_rows(cursor.model[ALL_ROWS]) end
      by_model[index] = cursor
      cursors[#cursors + 1] = cursor
    end
    return cursor
  end

  for _, acquire in ipairs(acquires) do
    pool[SEQUENCE] = pool[SEQUENCE] + 1
    local cursor = cursor_of(acquire[2])
    local waiter = { acquire[4], acquire[5], acquire[6] }
    load_rows(waiter[CALLERS])
    local reason, row, kind = never_fits(cursor.model, waiter)
    if reason then
      rejected[#rejected + 1] = { acquire[1], reason, row, kind, RETRY_SLOT_MS }
    else
      cursor.fresh[#cursor.fresh + 1] = {
        score = (10 - acquire[3]) * PRIORITY_BAND + pool[SEQUENCE],
        sequence = pool[SEQUENCE],
        ticket = acquire[1],
        no_queue = acquire[7],
        waiter = waiter,
      }
    end
  end
  local function by_score(a, b) return a.score < b.score end
  for _, cursor in ipairs(cursors) do table.sort(cursor.fresh, by_score) end

  if not is_learning() then
    for index, length in pairs(queued) do
      if length > 0 then cursor_of(index) end
    end
    pump(session, cursors, grants)
  end

  table.sort(cursors, function(a, b) return a.index < b.index end)
  for _, cursor in ipairs(cursors) do
    local left = cursor.passed
    for i = cursor.first, #cursor.fresh do left[#left + 1] = cursor.fresh[i] end
    table.sort(left, by_score)
    for _, fresh in ipairs(left) do enqueue(session, cursor, fresh, places, rejected) end
  end
  return grants, places, rejected
end
