-- audit: recounts what the pool derives, and repairs what differs. Twin: pool/audit.rs.
--
-- ARGV  1 fence
-- Returns packed {{status, tick, now, wall, generation, base, learning until}, {{what, index, counted, found}, ...}}: no
-- differences, unless somebody wrote to the store by hand.
if not advance() then return cmsgpack.pack({ { NO_EPOCH, 0, 0, 0, 0, 0, 0 }, {} }) end
if is_fenced(tonumber(ARGV[1])) then return cmsgpack.pack({ head(FENCED), {} }) end
-- A model came in between the look at the catalog, which says how many queues there are, and this call.
if #KEYS - QUEUES + 1 < pool[N_MODELS] then return cmsgpack.pack({ head(STALE), {} }) end
pool[TICK] = pool[TICK] + 1
local differences = {}
local function differ(what, index, counted, found)
  differences[#differences + 1] = { what, index, counted, found }
end

local indexes = redis.call('HKEYS', ROWS)
for i = 1, #indexes do indexes[i] = tonumber(indexes[i]) end
table.sort(indexes)
load_rows(indexes)

local in_use = {}
for _, session in ipairs(redis.call('HKEYS', HELD)) do
  if redis.call('HEXISTS', SESSIONS, session) == 0 then
    changed_holdings[session], holdings[session] = true, {}
  end
  for index, leases in pairs(holding(session)) do in_use[index] = (in_use[index] or 0) + leases end
end
for _, index in ipairs(indexes) do
  local row = rows[index]
  local counted = in_use[index] or 0
  if row[IN_USE] ~= counted then
    differ('in_use', index, counted, row[IN_USE])
    row[IN_USE] = counted
    touch(index)
  end
  for at = FIRST_WINDOW, #row, WINDOW_SIZE do
    local total, offset = 0, row[at + OFFSET]
    if not cleared_rings[offset] then
      local bytes = redis.call('GETRANGE', WINDOWS, offset * 8, (offset + RING[row[at]]) * 8 - 1)
      for place = 0, math.floor(#bytes / 8) - 1 do
        if not cleared[offset + place] then total = total + struct.unpack('>i8', bytes, place * 8 + 1) end
      end
    end
    if row[at + TOTAL] ~= total then
      differ('window', index, total, row[at + TOTAL])
      row[at + TOTAL] = total
      touch(index)
    end
  end
end

for model = 0, pool[N_MODELS] - 1 do
  for _, member in ipairs(redis.call('ZRANGE', queue_key(model), 0, -1)) do
    local session = waiting().split_member(member)
    if redis.call('HEXISTS', WAITERS, member) == 0 or not waiting().is_alive(session) then
      redis.call('ZREM', queue_key(model), member)
      redis.call('HDEL', WAITERS, member)
    end
  end
  local counted = redis.call('ZCARD', queue_key(model))
  if counted ~= (queued[model] or 0) then
    -- Waiters of dead sessions are no difference: they are counted until somebody looks at them.
    queued[model] = counted
  end
end
write_store()
return cmsgpack.pack({ head(DONE), differences })
