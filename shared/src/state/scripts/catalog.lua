-- Installing a catalog: what has a name keeps its counters. Twin: pool/catalog.rs.
--
-- A catalog is {version, hash, queue_max, retry_share, rows, candidates, models, buckets}; a row {kind, name, slots_max, windows,
-- credential};
-- a window {kind, limit, offset}; a candidate {name, key, scopes, weight}; a model {name, strategy, exclusive, candidates}.

local function install_rows(declared)
  local known = redis.call('HKEYS', ROWS)
  for i = 1, #known do known[i] = tonumber(known[i]) end
  load_rows(known)
  for i, row in ipairs(declared) do
    local index, windows = i - 1, row[4]
    local old = rows[index] or { 0, 0, 0, false }
    local new = { row[3], old[IN_USE], old[GRANTS], old[HEALTH] }
    for _, window in ipairs(windows) do
      local kind, limit, offset = window[1], window[2], window[3]
      local total, last, learned = 0, math.floor(pool[NOW] / BUCKET_MS[kind]), 0
      local is_kept = false
      for at = FIRST_WINDOW, #old, WINDOW_SIZE do
        if old[at] == kind and old[at + OFFSET] == offset then
          total, learned, is_kept = old[at + TOTAL], old[at + LEARNED], true
        end
      end
      if not is_kept then cleared_rings[offset] = RING[kind] end
      local at = #new + 1
      new[at], new[at + LIMIT], new[at + TOTAL], new[at + LAST], new[at + OFFSET] = kind, limit, total, last, offset
      new[at + LEARNED] = learned
    end
    rows[index] = new
    touch(index)
  end
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
  models[index] = nil
end

local function install(blob)
  local catalog = cmsgpack.unpack(blob)
  pool[VERSION], pool[QUEUE_MAX], pool[N_MODELS], queued = catalog[1], catalog[3], #catalog[7], {}
  pool[RETRY_SHARE] = catalog[4]
  if redis.call('STRLEN', WINDOWS) < catalog[8] * 8 then redis.call('SETRANGE', WINDOWS, catalog[8] * 8 - 1, '\0') end
  install_rows(catalog[5])
  for i, model in ipairs(catalog[7]) do
    install_model(i - 1, model, catalog[6], catalog[5])
    redis.call('DEL', queue_key(i - 1))
  end
  redis.call('DEL', WAITERS)
  redis.call('HSET', META, 'catalog', blob, 'hash', catalog[2])
end
