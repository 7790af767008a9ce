-- Windows: rings of buckets. Twin: pool/window.rs.
--
-- Changes are collected by bucket and written at the end: `cleared` rings and buckets first, then `added`.
local QPS = 0
local added, cleared, cleared_rings = {}, {}, {}

local function add(slot, by)
  added[slot] = (added[slot] or 0) + by
end

-- Drops what has left the interval of each window of the given rows; calls `changed` for each row that lost any.
local function rotate(fresh, changed)
  local reads, owners, n = {}, {}, 0
  for index, row in pairs(fresh) do
    for at = FIRST_WINDOW, #row, WINDOW_SIZE do
      local kind = row[at]
      local bucket, length = math.floor(pool[NOW] / BUCKET_MS[kind]), RING[kind]
      local passed = bucket - row[at + LAST]
      if passed >= length then
        cleared_rings[row[at + OFFSET]] = length
        row[at + TOTAL], row[at + LAST] = 0, bucket
      elseif passed > 0 then
        for stale = row[at + LAST] + 1, bucket do
          n = n + 1
          reads[n] = row[at + OFFSET] + stale % length
          owners[n] = { row, at + TOTAL }
        end
        row[at + LAST] = bucket
      end
      if passed > 0 then changed(index) end
    end
  end
  -- A script's unpack ends near 8,000 values.
  for first = 1, n, 2000 do
    local command, m = { 'BITFIELD', WINDOWS }, 2
    local last = math.min(first + 1999, n)
    for i = first, last do
      command[m + 1], command[m + 2], command[m + 3] = 'GET', 'i64', '#' .. reads[i]
      m = m + 3
    end
    local values = redis.call(unpack(command))
    for i = first, last do
      local row, total = owners[i][1], owners[i][2]
      row[total] = row[total] - values[i - first + 1]
      cleared[reads[i]] = true
    end
  end
end

local function cost(kind, tokens)
  return COUNTS_TOKENS[kind] and tokens or 1
end

-- A probe that costs the provider nothing is counted by the second alone.
local function charge(row, tokens, is_light)
  for at = FIRST_WINDOW, #row, WINDOW_SIZE do
    local kind = row[at]
    if not is_light or kind == QPS then
      local by = COUNTS_TOKENS[kind] and tokens or 1
      local slot = row[at + OFFSET] + row[at + LAST] % RING[kind]
      row[at + TOTAL] = row[at + TOTAL] + by
      added[slot] = (added[slot] or 0) + by
    end
  end
end

-- The limit in force. An empty window admits what the configuration allows, so that no request is stuck behind a limit
-- that was only reported.
local function limit_now(row, at)
  local learned = row[at + LEARNED]
  if learned > 0 and row[at + TOTAL] > 0 then return math.min(learned, row[at + LIMIT]) end
  return row[at + LIMIT]
end

-- Corrects a charge in the bucket where it was made; no effect once that bucket has left. Gives nothing back of what was
-- charged before the window was there: it would be somebody else's charge.
local function correct(row, at, charged_at, by)
  if by < 0 and charged_at <= row[at + SINCE] then return end
  local kind = row[at]
  local bucket = math.min(math.floor(charged_at / BUCKET_MS[kind]), row[at + LAST])
  if by ~= 0 and row[at + LAST] - bucket < RING[kind] then
    row[at + TOTAL] = row[at + TOTAL] + by
    add(row[at + OFFSET] + bucket % RING[kind], by)
  end
end

local function write_windows()
  for offset, length in pairs(cleared_rings) do
    redis.call('SETRANGE', WINDOWS, offset * 8, string.rep('\0', length * 8))
  end
  local command, n = { 'BITFIELD', WINDOWS }, 2
  local function put(verb, slot, value)
    command[n + 1], command[n + 2], command[n + 3], command[n + 4] = verb, 'i64', '#' .. slot, value
    n = n + 4
    if n > 4000 then
      redis.call(unpack(command))
      command, n = { 'BITFIELD', WINDOWS }, 2
    end
  end
  for slot in pairs(cleared) do put('SET', slot, added[slot] or 0) end
  for slot, by in pairs(added) do
    if by ~= 0 and not cleared[slot] then put('INCRBY', slot, by) end
  end
  if n > 2 then redis.call(unpack(command)) end
end
