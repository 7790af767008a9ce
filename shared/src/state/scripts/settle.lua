-- Grants and releases. Twin: pool/settle.rs.

-- What is left of the caller's own limits: {row, limit kind, left}, or false; kind 0 is slots.
local function remaining(callers)
  if not callers then return false end
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

local function take(session, index, tokens, purpose)
  local row = rows[index]
  row[IN_USE] = row[IN_USE] + 1
  row[GRANTS] = row[GRANTS] + 1
  charge(row, tokens, purpose == LIGHT_PROBE)
  hold(session, index, 1)
  touch(index)
end

-- Charges every row of the lease; the caller has checked that all of them admit it.
local function grant(model, position, session, ticket, waiter, purpose)
  local tokens, callers, key = waiter[TOKENS], waiter[CALLERS], model[KEYS_OF][position]
  take(session, key, tokens, purpose)
  local scopes = model[SCOPES][position]
  if scopes then
    for i = 1, #scopes do take(session, scopes[i], tokens, purpose) end
  end
  if callers then
    for i = 1, #callers do take(session, callers[i], tokens, purpose) end
  end
  begin_trial(session, rows[key])
  count_retry(purpose)
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
  changed_holdings[session] = true
  local reserved, granted_at, tokens = release[RESERVED], release[GRANTED_AT], release[USED]
  local is_unsent = release[OUTCOME] == UNSENT or release[OUTCOME] == UNREACHABLE
  for i = 1, #list do
    local index = list[i]
    local row = rows[index]
    held[index] = held[index] - 1
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
  observe(session, list[1], release)
end

-- Reads the rows of everything that a batch will look at, at once.
local function load_batch(operations)
  local needed, n, lists, seen = {}, 0, {}, {}
  local function need(list)
    for i = 1, #list do
      n = n + 1
      needed[n] = list[i]
    end
  end
  local releases, acquires = operations[1], operations[3]
  for i = 1, #releases do
    local release = releases[i]
    lists[i] = lease_rows(load_model(release[1]), release[2], release[3])
    need(lists[i])
  end
  for i = 1, #acquires do
    local acquire = acquires[i]
    local index = acquire[MODEL]
    if acquire[CALLERS] then need(acquire[CALLERS]) end
    if not seen[index] then
      seen[index] = true
      local model = load_model(index)
      if model then need(model[ALL_ROWS]) end
    end
  end
  load_rows(needed)
  return lists
end

-- Ends leases: {model, candidate, callers, then the fields of prelude.lua} each; `lists` are their rows.
local function settle_all(session, releases, lists)
  for i = 1, #releases do settle(session, lists[i], releases[i]) end
end
