-- Strategies: which of a model's candidates serves. Twin: pool/strategy.rs.
local UNLIMITED = 9007199254740992
-- Rows on which an earlier waiter lacks tokens: later ones in the same pass may not take what it saves up for.
local closed = {}

local function measure_room(index)
  local row = rows[index]
  local slots, free = row[SLOTS_MAX], UNLIMITED
  if closed[index] or (slots > 0 and row[IN_USE] >= slots) then
    free = -1
  else
    for at = FIRST_WINDOW, #row, WINDOW_SIZE do
      local left = row[at + LIMIT] - row[at + TOTAL]
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
  if #allow == 0 then return true end
  for i = 1, #allow do
    if allow[i] == id then return true end
  end
  return false
end

-- The positions of the candidates that admit a waiter, in order.
local function admissible(model, waiter)
  local tokens, allow = waiter[TOKENS], waiter[ALLOW]
  local keys, ids, scopes, exclusive = model[KEYS_OF], model[IDS], model[SCOPES], model[EXCLUSIVE]
  local has_scopes, has_allow = #scopes > 0, #allow > 0
  local positions, n = {}, 0
  for position = 1, #keys do
    local key = keys[position]
    if tokens <= (room[key] or measure_room(key)) and not (exclusive and rows[key][IN_USE] > 0) then
      local fits = not has_allow or allows(allow, ids[position])
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
  return positions
end

-- Smooth weighted round robin; all weights are 1 where none are given.
local function round_robin(model, positions, weights)
  local current, total = model.current, 0
  local best = positions[1]
  for i = 1, #positions do
    local position = positions[i]
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

-- In-flight / (capacity x weight); / weight for all, if the capacity of one is not known.
local function least_busy(model, positions)
  local keys, weights = model[KEYS_OF], model[WEIGHTS]
  local all_limited = true
  for i = 1, #keys do
    if rows[keys[i]][SLOTS_MAX] == 0 then
      all_limited = false
      break
    end
  end
  local least, tied = nil, {}
  for i = 1, #positions do
    local position = positions[i]
    local row = rows[keys[position]]
    local capacity = all_limited and row[SLOTS_MAX] * weights[position] or weights[position]
    local load = (row[IN_USE] + 1) / capacity
    if least == nil or load < least then least, tied = load, {} end
    if load == least then tied[#tied + 1] = position end
  end
  return round_robin(model, tied)
end

-- The position of the candidate that serves, or nil. Moves the round robin; charges nothing.
local function pick(model, waiter)
  local positions = admissible(model, waiter)
  if #positions == 0 then return nil end
  local strategy = model[STRATEGY]
  if strategy == 'weighted' then return round_robin(model, positions, model[WEIGHTS]) end
  if strategy == 'balanced' then return round_robin(model, positions) end
  if strategy == 'least_busy' then return least_busy(model, positions) end
  return positions[1]
end
