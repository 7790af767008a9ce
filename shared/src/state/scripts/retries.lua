-- The retry budget: how many attempts beyond the first the whole cluster may make. Twin: pool/retries.rs.
local FLOOR_PER_SECOND, SAVED_MAX = 3, 100

-- Whether one retry more is within the budget.
local function has_retry()
  local trickled = (pool[NOW] - pool[RETRIES_AT]) * FLOOR_PER_SECOND / 1000
  pool[RETRIES], pool[RETRIES_AT] = math.min(pool[RETRIES] + trickled, SAVED_MAX), pool[NOW]
  return pool[RETRIES] >= 1
end

-- What a granted request earns, or a granted retry costs.
local function count_retry(purpose)
  if purpose == REQUEST then
    pool[RETRIES] = math.min(pool[RETRIES] + pool[RETRY_SHARE], SAVED_MAX)
  elseif purpose == RETRY then
    pool[RETRIES] = pool[RETRIES] - 1
  end
end
