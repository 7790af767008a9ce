-- What a script has read of the pool, and what it will write: decode first, write last, because nothing rolls back.
local rows, dirty = {}, {}
local models = {}
local holdings, changed_holdings = {}, {}
local mails = {}

-- How many tokens a request may have to be admitted by a row now; -1: no request is. Forgotten when the row changes.
local room = {}

local function touch(index)
  dirty[index] = true
  room[index] = nil
end

local function load_rows(indexes)
  local fields, n = {}, 0
  for i = 1, #indexes do
    local index = indexes[i]
    if rows[index] == nil then
      rows[index] = false
      n = n + 1
      fields[n] = index
    end
  end
  if n == 0 then return end
  local fresh = {}
  for first = 1, n, UNPACK_MAX do
    local last = math.min(first + UNPACK_MAX - 1, n)
    local values = redis.call('HMGET', ROWS, unpack(fields, first, last))
    for i = first, last do
      local row = cmsgpack.unpack(values[i - first + 1])
      rows[fields[i]] = row
      fresh[fields[i]] = row
    end
  end
  rotate(fresh, touch)
end

local function load_model(index)
  local model = models[index]
  if model ~= nil then return model end
  local values = redis.call('HMGET', META, 'm' .. index, 'c' .. index)
  model = false
  if values[1] then
    model = cmsgpack.unpack(values[1])
    model.current = values[2] and cmsgpack.unpack(values[2]) or {}
    for position = #model.current + 1, #model[IDS] do model.current[position] = 0 end
    model.index = index
  end
  models[index] = model
  return model
end

-- The rows of a lease, and none for a candidate that the model never had.
local function lease_rows(model, id, callers)
  local list = {}
  if not model then return list end
  if not model.position_of then
    model.position_of = {}
    for position, candidate in ipairs(model[IDS]) do model.position_of[candidate] = position end
  end
  local position = model.position_of[id]
  local scopes, n
  if position then
    list[1], scopes, n = model[KEYS_OF][position], model[SCOPES][position], 1
  else
    local packed = redis.call('HGET', META, 'r' .. model.index)
    for _, retired in ipairs(packed and cmsgpack.unpack(packed) or {}) do
      if retired[1] == id then list[1], scopes, n = retired[2], retired[3], 1 end
    end
    if not n then return list end
  end
  if scopes then
    for i = 1, #scopes do list[n + i] = scopes[i] end
    n = n + #scopes
  end
  if callers then
    for i = 1, #callers do list[n + i] = callers[i] end
  end
  return list
end

local function holding(session)
  local held = holdings[session]
  if not held then
    held = {}
    local packed = redis.call('HGET', HELD, session)
    if packed then
      local flat = cmsgpack.unpack(packed)
      for i = 1, #flat, 2 do held[flat[i]] = flat[i + 1] end
    end
    holdings[session] = held
  end
  return held
end

local function hold(session, row, by)
  local held = holding(session)
  held[row] = (held[row] or 0) + by
  changed_holdings[session] = true
end

-- What this script posts to a session: {grants, rejected}.
local function mail_for(session)
  local mail = mails[session]
  if not mail then
    mail = { {}, {} }
    mails[session] = mail
  end
  return mail
end

local function write_store()
  local fields, n = {}, 0
  for index in pairs(dirty) do
    fields[n + 1], fields[n + 2] = index, cmsgpack.pack(rows[index])
    n = n + 2
  end
  for first = 1, n, UNPACK_MAX do
    redis.call('HSET', ROWS, unpack(fields, first, math.min(first + UNPACK_MAX - 1, n)))
  end
  write_windows()
  for session in pairs(changed_holdings) do
    local flat, m = {}, 0
    for row, leases in pairs(holdings[session]) do
      if leases ~= 0 then
        flat[m + 1], flat[m + 2] = row, leases
        m = m + 2
      end
    end
    if m > 0 then redis.call('HSET', HELD, session, cmsgpack.pack(flat)) else redis.call('HDEL', HELD, session) end
  end
  local meta = { 'pool', packed_pool() }
  for index, model in pairs(models) do
    if model and model.moved then
      meta[#meta + 1] = 'c' .. index
      meta[#meta + 1] = cmsgpack.pack(model.current)
    end
  end
  redis.call('HSET', META, unpack(meta))
end
