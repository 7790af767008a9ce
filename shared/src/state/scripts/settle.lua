-- Grants and releases. Twin: pool/settle.rs.
local UNSENT = 0

-- What is left of the caller's own limits: {row, limit kind, left}; kind 0 is slots.
local function remaining(callers)
  local list = {}
  for _, index in ipairs(callers) do
    local row = rows[index]
    if row[SLOTS_MAX] > 0 then
      list[#list + 1] = { index, 0, math.max(row[SLOTS_MAX] - row[IN_USE], 0) }
    end
    for at = FIRST_WINDOW, #row, WINDOW_SIZE do
      list[#list + 1] = { index, row[at] + 1, math.max(row[at + LIMIT] - row[at + TOTAL], 0) }
    end
  end
  return list
end

-- Charges every row of the lease; the caller has checked that all of them admit it.
local function grant(model, position, session, ticket, waiter)
  local tokens, callers = waiter[TOKENS], waiter[CALLERS]
  local function take(index)
    local row = rows[index]
    row[IN_USE] = row[IN_USE] + 1
    row[GRANTS] = row[GRANTS] + 1
    charge(row, tokens)
    hold(session, index, 1)
    touch(index)
  end
  local key = model[KEYS_OF][position]
  take(key)
  for _, index in ipairs(model[SCOPES][position] or {}) do take(index) end
  for _, index in ipairs(callers) do take(index) end
  return { ticket, model[IDS][position], rows[key][GRANTS], pool[NOW], pool[TICK], remaining(callers) }
end

-- Ends a lease. A release of what the session does not hold is counted and has no effect at all.
local function settle(session, list, release)
  local held = holding(session)
  local is_held = #list > 0
  for i = 1, #list do
    if (held[list[i]] or 0) == 0 then is_held = false end
  end
  if not is_held then
    pool[ANOMALIES] = pool[ANOMALIES] + 1
    return
  end
  local reserved, granted_at, tokens, is_unsent = release[4], release[5], release[6], release[7] == UNSENT
  for i = 1, #list do
    local index = list[i]
    local row = rows[index]
    hold(session, index, -1)
    row[IN_USE] = row[IN_USE] - 1
    for at = FIRST_WINDOW, #row, WINDOW_SIZE do
      if COUNTS_TOKENS[row[at]] then
        correct(row, at, granted_at, (is_unsent and 0 or tokens) - reserved)
      elseif is_unsent then
        correct(row, at, granted_at, -1)
      end
    end
    touch(index)
  end
end

-- Ends leases: {model, candidate, callers, reserved, granted_at, tokens, outcome, latency, first byte} each.
local function settle_all(session, releases)
  local lists, needed, n = {}, {}, 0
  for i, release in ipairs(releases) do
    local list = lease_rows(load_model(release[1]), release[2], release[3])
    lists[i] = list
    for j = 1, #list do
      n = n + 1
      needed[n] = list[j]
    end
  end
  load_rows(needed)
  for i, release in ipairs(releases) do settle(session, lists[i], release) end
end
