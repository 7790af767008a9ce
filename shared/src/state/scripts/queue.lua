-- The queue: strict priority, then first come first served, over all models of the pool. Twin: pool/queue.rs.
-- Waiters granted or sent away by one pump at most.
local HANDLED_MAX = 128

-- Finds the best waiter of a cursor: `head` from the batch in hand, or `member` from the store, with its `score`.
-- `is_current` until somebody moves on.
local function advance_cursor(cursor)
  local stored
  if (queued[cursor.index] or 0) > cursor.skipped then
    stored = redis.call('ZRANGE', queue_key(cursor.index), cursor.skipped, cursor.skipped, 'WITHSCORES')
  end
  local fresh = cursor.fresh[cursor.first]
  if stored and stored[1] then
    local score = tonumber(stored[2])
    if not fresh or score < fresh[SCORE] then
      cursor.head, cursor.score, cursor.member = false, score, stored[1]
      return
    end
  end
  cursor.head, cursor.member = fresh or false, nil
  cursor.score = fresh and fresh[SCORE]
end

-- Claims are granted, kept in the queue, or refused; old waiters and new claims alike, best first.
local function pump(session, cursors, grants, rejected)
  local n_handled = 0
  while n_handled < HANDLED_MAX do
    local best
    for i = 1, #cursors do
      local cursor = cursors[i]
      if not cursor.is_current then
        advance_cursor(cursor)
        cursor.is_current = true
      end
      if cursor.score and not cursor.is_blocked and (not best or cursor.score < best.score) then best = cursor end
    end
    if not best then return end

    local member, model, waiter = best.member, best.model, best.head
    local owner, ticket, purpose, is_known = session, nil, REQUEST, true
    if member then
      owner, ticket = waiting().split_member(member)
      local packed = waiting().is_alive(owner) and redis.call('HGET', WAITERS, member)
      if packed then
        waiter = cmsgpack.unpack(packed)
        load_rows(waiter[CALLERS] or {})
      else
        -- Its session is gone: nobody is left to be granted anything.
        waiting().forget(best.index, member)
        n_handled = n_handled + 1
        best.is_current, is_known = false, false
      end
    else
      ticket, purpose = waiter[TICKET], waiter[PURPOSE]
      if purpose == RETRY and not has_retry() then
        best.first, best.is_current, is_known = best.first + 1, false, false
        rejected[#rejected + 1] = { ticket, RETRY_BUDGET, 0, 0, RETRY_SLOT_MS }
      end
    end

    if is_known then
      local is_caller_blocked, callers = false, waiter[CALLERS]
      if callers then
        for i = 1, #callers do
          if not row_admits(callers[i], waiter[TOKENS]) then is_caller_blocked = true end
        end
      end
      local position = not is_caller_blocked and pick(model, waiter)
      best.is_current = false
      if position then
        n_handled = n_handled + 1
        local granted = grant(model, position, owner, ticket, waiter, purpose)
        if member then
          waiting().forget(best.index, member)
          local mail = mail_for(owner)
          mail[1][#mail[1] + 1] = granted
        else
          best.first = best.first + 1
          grants[#grants + 1] = granted
        end
      else
        local reason, row, kind = waiting().never_now(model, waiter)
        if reason then
          local refused = { ticket, reason, row, kind, RETRY_SLOT_MS }
          if member then
            -- The catalog, or its keys' health, changed under it.
            waiting().forget(best.index, member)
            n_handled = n_handled + 1
            local mail = mail_for(owner)
            mail[2][#mail[2] + 1] = refused
          else
            best.first = best.first + 1
            rejected[#rejected + 1] = refused
          end
        else
          local _, _, at = waiting().blocker(model, waiter)
          if at and (next_opening == 0 or at < next_opening) then next_opening = at end
          waiting().close_rows(model, waiter, is_caller_blocked)
          local is_passed_over = is_caller_blocked or waiter[ALLOW]
          if not is_passed_over or best.skipped + #best.passed >= LOOK_AHEAD then
            best.is_blocked = true
          elseif member then
            best.skipped = best.skipped + 1
          else
            best.first = best.first + 1
            best.passed[#best.passed + 1] = waiter
          end
        end
      end
    end
  end
  -- There may be room for more: whoever ticks next goes on.
  next_opening = pool[NOW]
end

-- A probe passes the queue by, because the queue may be waiting for what it finds; it never waits itself. Returns its
-- grant, if its limits admit it and nobody tries the key already.
local function admit_probe(session, model, claim)
  local allow, tokens, is_light = claim[ALLOW], claim[TOKENS], claim[PURPOSE] == LIGHT_PROBE
  if is_learning() or not allow or #allow ~= 1 then return nil end
  local list = lease_rows(model, allow[1], claim[CALLERS])
  if #list == 0 then return nil end
  local health = rows[list[1]][HEALTH]
  if health and health[STATE] == TRIED then return nil end
  if model[EXCLUSIVE] and rows[list[1]][IN_USE] > 0 then return nil end
  for _, index in ipairs(list) do
    local row = rows[index]
    local slots = slots_now(row)
    if slots > 0 and row[IN_USE] >= slots then return nil end
    for at = FIRST_WINDOW, #row, WINDOW_SIZE do
      local counts = not is_light or row[at] == QPS
      if counts and row[at + TOTAL] + cost(row[at], tokens) > limit_now(row, at) then return nil end
    end
  end
  return grant(model, model.position_of[allow[1]], session, claim[TICKET], claim, claim[PURPOSE])
end

local function by_score(a, b)
  return a[SCORE] < b[SCORE]
end

-- Admits, queues or rejects the batch's claims, and hands freed capacity to whoever waits. Returns grants, places in
-- the queue, rejections.
local function admit(session, acquires)
  local grants, places, rejected, cursors, by_model = {}, {}, {}, {}, {}
  local function cursor_of(index)
    local cursor = by_model[index]
    if not cursor then
      local model = load_model(index)
      if model then load_rows(model[ALL_ROWS]) end
      cursor = { index = index, model = model, skipped = 0, first = 1, fresh = {}, passed = {} }
      by_model[index] = cursor
      cursors[#cursors + 1] = cursor
    end
    return cursor
  end

  for i = 1, #acquires do
    local claim = acquires[i]
    local cursor = cursor_of(claim[MODEL])
    pool[SEQUENCE] = pool[SEQUENCE] + 1
    claim[SCORE] = (10 - claim[PRIORITY]) * PRIORITY_BAND + pool[SEQUENCE]
    local model, reason, row, kind = cursor.model, nil, nil, nil
    local fits_easily = model and #model[IDS] > 0 and claim[TOKENS] <= model[LEAST_TOKENS]
    if not fits_easily or claim[ALLOW] or claim[CALLERS] then
      reason, row, kind = waiting().never_fits(model, claim)
    end
    if reason then
      rejected[#rejected + 1] = { claim[TICKET], reason, row, kind, RETRY_SLOT_MS }
    elseif claim[PURPOSE] == PROBE or claim[PURPOSE] == LIGHT_PROBE then
      local granted = admit_probe(session, model, claim)
      if granted then
        grants[#grants + 1] = granted
      else
        rejected[#rejected + 1] = { claim[TICKET], LIMITED, 0, 0, RETRY_SLOT_MS }
      end
    else
      cursor.fresh[#cursor.fresh + 1] = claim
    end
  end
  for _, cursor in ipairs(cursors) do
    if #cursor.fresh > 1 then table.sort(cursor.fresh, by_score) end
  end

  if not is_learning() then
    for index, length in pairs(queued) do
      if length > 0 then cursor_of(index) end
    end
    pump(session, cursors, grants, rejected)
  end

  if #cursors > 1 then table.sort(cursors, function(a, b) return a.index < b.index end) end
  for _, cursor in ipairs(cursors) do
    local left = cursor.passed
    for i = cursor.first, #cursor.fresh do left[#left + 1] = cursor.fresh[i] end
    if #left > 1 then table.sort(left, by_score) end
    for _, claim in ipairs(left) do waiting().enqueue(session, cursor, claim, places, rejected) end
  end
  return grants, places, rejected
end
