-- Strategies: which of a model's candidates serves. Twin: pool/strategy.rs.
local UNLIMITED = 9007199254740992
local FADING_MS, SHARE_MIN = 60000, 0.01
-- Rows on which an earlier waiter lacks tokens: later ones in the same pass may not take what it saves up for.
local closed = {}

local function measure_room(index)
  local row = rows[index]
  local slots, free, health, is_out = row[SLOTS_MAX], UNLIMITED, row[HEALTH], false
  if health then
    is_out = health[ADMIN] ~= 0 or health[STATE] > EJECTED or health[OPEN_AT] > pool[NOW]
    if health[SLOTS_LEARNED] > 0 then slots = slots_now(row) end
  end
  if is_out or closed[index] or (slots > 0 and row[IN_USE] >= slots) then
    free = -1
  else
    for at = FIRST_WINDOW, #row, WINDOW_SIZE do
      local left = (row[at + LEARNED] > 0 and limit_now(row, at) or row[at + LIMIT]) - row[at + TOTAL]
      if COUNTS_TOKENS[row[at]] then
        if left < free then free = left end
      elseif left < 1 then
        free = -1
        break
      end
    end
  end
  room[index] = free
  return free
end

local function row_admits(index, tokens)
  return tokens <= (room[index] or measure_room(index))
end

local function allows(allow, id)
  if not allow then return true end
  for i = 1, #allow do
    if allow[i] == id then return true end
  end
  return false
end

-- The positions of the candidates that admit a waiter, in order, and how many; the list is used again and again.
local positions = {}
local function admissible(model, waiter)
  local tokens, allow = waiter[TOKENS], waiter[ALLOW]
  local keys, ids, scopes, exclusive = model[KEYS_OF], model[IDS], model[SCOPES], model[EXCLUSIVE]
  local has_scopes = #scopes > 0
  local n = 0
  for position = 1, #keys do
    local key = keys[position]
    if tokens <= (room[key] or measure_room(key)) and not (exclusive and rows[key][IN_USE] > 0) then
      local fits = not allow or allows(allow, ids[position])
      if fits and has_scopes then
        for _, row in ipairs(scopes[position]) do
          if not row_admits(row, tokens) then
            fits = false
            break
          end
        end
      end
      if fits then
        n = n + 1
        positions[n] = position
      end
    end
  end
  return n
end

-- Smooth weighted round robin; all weights are 1 where none are given.
local function round_robin(model, among, n, weights)
  local current, total = model.current, 0
  local best = among[1]
  for i = 1, n do
    local position = among[i]
    local weight = weights and weights[position] or 1
    local value = current[position] + weight
    current[position] = value
    total = total + weight
    if value > current[best] then best = position end
  end
  current[best] = current[best] - total
  model.moved = true
  return best
end

-- Whichever admissible candidate has the least load; the ties in turn.
local function least(model, n, load_of)
  local least_load, tied = nil, {}
  for i = 1, n do
    local position = positions[i]
    local load = load_of(position)
    if least_load == nil or load < least_load then least_load, tied = load, {} end
    if load == least_load then tied[#tied + 1] = position end
  end
  return round_robin(model, tied, #tied)
end

-- In-flight / (capacity x weight); / weight for all, if the capacity of one is not known.
local function least_busy(model, n)
  local keys, weights = model[KEYS_OF], model[WEIGHTS]
  local all_limited = true
  for i = 1, #keys do
    if rows[keys[i]][SLOTS_MAX] == 0 then
      all_limited = false
      break
    end
  end
  return least(model, n, function(position)
    local row = rows[keys[position]]
    local capacity = all_limited and row[SLOTS_MAX] * weights[position] or weights[position]
    return (row[IN_USE] + 1) / capacity
  end)
end

-- Weights that follow latency and failures: weight x least latency / latency x (1 - penalty), at least a hundredth of
-- the weight. Kept for the whole script, whose grants do not change them.
local function dynamic_weights(model)
  if model.dynamic then return model.dynamic end
  local keys, weights = model[KEYS_OF], model[WEIGHTS]
  local function least_of(field)
    local least_value = 0
    for i = 1, #keys do
      local health = rows[keys[i]][HEALTH]
      local value = health and health[field] or 0
      if value > 0 and (least_value == 0 or value < least_value) then least_value = value end
    end
    return least_value
  end
  local first_byte, token_time = least_of(FIRST_BYTE), least_of(TOKEN_TIME)
  -- How a latency compares with the least one: 1 is as good. An old sample fades towards it.
  local function speed(health, field, least_value)
    local latency = health[field]
    if latency <= 0 then return 1 end
    local age = pool[NOW] - health[field + 1]
    return least_value / (latency + (least_value - latency) * (age / (age + FADING_MS)))
  end
  local dynamic = {}
  for i = 1, #keys do
    local health, weight = rows[keys[i]][HEALTH], weights[i]
    if health then
      local slower = math.min(speed(health, FIRST_BYTE, first_byte), speed(health, TOKEN_TIME, token_time))
      weight = weight * math.max(slower * (1 - health[PENALTY]), SHARE_MIN)
    end
    dynamic[i] = weight
  end
  model.dynamic = dynamic
  return dynamic
end

-- Load / dynamic weight.
local function fastest(model, n)
  local keys, weights = model[KEYS_OF], dynamic_weights(model)
  return least(model, n, function(position)
    return (rows[keys[position]][IN_USE] + 1) / weights[position]
  end)
end

-- The position of the candidate that serves, or nil. Moves the round robin; charges nothing.
local function pick(model, waiter)
  local n = admissible(model, waiter)
  if n == 0 then return nil end
  local strategy = model[STRATEGY]
  if strategy == 'weighted' then return round_robin(model, positions, n, model[WEIGHTS]) end
  if strategy == 'balanced' then return round_robin(model, positions, n) end
  if strategy == 'least_busy' then return least_busy(model, n) end
  if strategy == 'dynamic_weighted' then return round_robin(model, positions, n, dynamic_weights(model)) end
  if strategy == 'fastest' then return fastest(model, n) end
  return positions[1]
end
