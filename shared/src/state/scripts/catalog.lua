-- Installing a catalog: what has a name keeps its counters. Twins: pool/catalog.rs and, from `lost_any` on, pool/publish.rs.
--
-- A catalog is {version, hash, queue_max, retry_share, rows, candidates, models, buckets}; a row {kind, name, slots_max, windows,
-- credential, retired}; a window {kind, limit, offset}; a candidate {name, key, scopes, weight}; a model {name, strategy, exclusive,
-- candidates, retired}.

local function grow_windows(buckets)
  if redis.call('STRLEN', WINDOWS) < buckets * 8 then redis.call('SETRANGE', WINDOWS, buckets * 8 - 1, '\0') end
end

-- The record of a key that has another credential: nothing is known of it, and what was found of the old one is stale.
local function renew_health(row)
  local old = health_of(row)
  row[HEALTH] = false
  local health = health_of(row)
  health[ADMIN], health[STATE_VERSION], health[RECOVERED_AT] = old[ADMIN], old[STATE_VERSION] + 1, pool[NOW]
end

-- Gives a row other limits. Windows that it keeps keep their charges; new ones are empty, and there `since`.
local function change_row(index, declared, is_other_key, since)
  local old = rows[index] or { 0, 0, 0, false }
  local new = { declared[3], old[IN_USE], old[GRANTS], old[HEALTH] }
  if is_other_key then renew_health(new) end
  for _, window in ipairs(declared[4]) do
    local kind, limit, offset = window[1], window[2], window[3]
    local total, last, learned, window_since = 0, math.floor(pool[NOW] / BUCKET_MS[kind]), 0, since
    local is_kept = false
    for at = FIRST_WINDOW, #old, WINDOW_SIZE do
      if old[at] == kind and old[at + OFFSET] == offset then
        total, learned, window_since, is_kept = old[at + TOTAL], old[at + LEARNED], old[at + SINCE], true
      end
    end
    if not is_kept then cleared_rings[offset] = RING[kind] end
    local at = #new + 1
    new[at], new[at + LIMIT], new[at + TOTAL], new[at + LAST], new[at + OFFSET] = kind, limit, total, last, offset
    new[at + LEARNED], new[at + SINCE] = learned, window_since
  end
  rows[index] = new
  touch(index)
end

-- Reads the rows that are there of those that are about to change.
local function load_known_rows(changes)
  local known, list = redis.call('HLEN', ROWS), {}
  for _, changed in ipairs(changes) do
    if changed[1] < known then list[#list + 1] = changed[1] end
  end
  load_rows(list)
end

local function install_model(index, model, candidates, declared_rows)
  local ids, keys, weights, scopes, all, seen = model[4], {}, {}, {}, {}, {}
  local has_scopes, least = false, UNLIMITED
  local function note(row)
    if seen[row] then return end
    seen[row] = true
    all[#all + 1] = row
    for _, window in ipairs(declared_rows[row + 1][4]) do
      if COUNTS_TOKENS[window[1]] and window[2] < least then least = window[2] end
    end
  end
  for position, id in ipairs(ids) do
    local candidate = candidates[id + 1]
    keys[position], scopes[position], weights[position] = candidate[2], candidate[3], candidate[4]
    if #candidate[3] > 0 then has_scopes = true end
    note(candidate[2])
    for _, row in ipairs(candidate[3]) do note(row) end
  end

  local old = load_model(index)
  local current = {}
  for position, id in ipairs(ids) do
    current[position] = 0
    if old then
      for before, old_id in ipairs(old[IDS]) do
        if old_id == id then current[position] = old.current[before] end
      end
    end
  end
  local packed = cmsgpack.pack({ model[2], model[3], ids, keys, weights, has_scopes and scopes or {}, all, least })
  redis.call('HSET', META, 'm' .. index, packed, 'c' .. index, cmsgpack.pack(current))
  local retired = {}
  for _, id in ipairs(model[5]) do
    local candidate = candidates[id + 1]
    retired[#retired + 1] = { id, candidate[2], candidate[3] }
  end
  if #retired > 0 then
    redis.call('HSET', META, 'r' .. index, cmsgpack.pack(retired))
  else
    redis.call('HDEL', META, 'r' .. index)
  end
  models[index] = nil
end

-- Takes over models and candidates, and with them the catalog itself; queues and round robins stay.
local function install_models(catalog, blob)
  pool[VERSION], pool[QUEUE_MAX], pool[N_MODELS], pool[RETRY_SHARE] = catalog[1], catalog[3], #catalog[7], catalog[4]
  for i, model in ipairs(catalog[7]) do install_model(i - 1, model, catalog[6], catalog[5]) end
  for index = #catalog[5], redis.call('HLEN', ROWS) - 1 do redis.call('HDEL', ROWS, index) end
  redis.call('HSET', META, 'catalog', blob, 'hash', catalog[2])
end

-- Puts a catalog in force while no session lives; waiters of the old one are forgotten.
local function install(blob)
  local catalog = cmsgpack.unpack(blob)
  local before = redis.call('HGET', META, 'catalog')
  local old_rows = before and cmsgpack.unpack(before)[5] or {}
  grow_windows(catalog[8])
  local changes = {}
  for i, row in ipairs(catalog[5]) do
    local old = old_rows[i]
    changes[i] = { i - 1, row, old and old[5] ~= row[5] }
  end
  load_known_rows(changes)
  for _, changed in ipairs(changes) do change_row(changed[1], changed[2], changed[3], 0) end
  install_models(catalog, blob)
  for index = 0, pool[N_MODELS] - 1 do redis.call('DEL', queue_key(index)) end
  redis.call('DEL', WAITERS)
  queued = {}
end

-- Whether a model has candidates that it loses by being given these.
local function lost_any(model, ids)
  local kept = {}
  for _, id in ipairs(ids) do kept[id] = true end
  for _, id in ipairs(model[IDS]) do
    if not kept[id] then return true end
  end
  return false
end

-- Sends those away who wait for what is gone.
local function reject_hopeless(index)
  local model = load_model(index)
  load_rows(model[ALL_ROWS])
  for _, member in ipairs(redis.call('ZRANGE', queue_key(index), 0, -1)) do
    local packed = redis.call('HGET', WAITERS, member)
    if packed then
      local waiter = cmsgpack.unpack(packed)
      load_rows(waiter[CALLERS] or {})
      local reason, row, kind = waiting().never_fits(model, waiter)
      if reason then
        waiting().forget(index, member)
        local owner, ticket = waiting().split_member(member)
        if waiting().is_alive(owner) then
          local mail = mail_for(owner)
          mail[2][#mail[2] + 1] = { ticket, reason, row, kind, RETRY_SLOT_MS }
        end
      end
    end
  end
end

-- Between two calls of a publish a model may be shown lower token limits than it knows.
local function lower_least_tokens(index, changes)
  local model = load_model(index)
  local touches, least = {}, model[LEAST_TOKENS]
  for _, row in ipairs(model[ALL_ROWS]) do touches[row] = true end
  for _, changed in ipairs(changes) do
    for _, window in ipairs(touches[changed[1]] and changed[2][4] or {}) do
      if COUNTS_TOKENS[window[1]] and window[2] < least then least = window[2] end
    end
  end
  if least < model[LEAST_TOKENS] then
    local packed = {}
    for field = 1, LEAST_TOKENS do packed[field] = model[field] end
    packed[LEAST_TOKENS] = least
    redis.call('HSET', META, 'm' .. index, cmsgpack.pack(packed))
  end
end
