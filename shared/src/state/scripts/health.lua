-- Health: what the outcomes of requests say about a key, and when it may serve. Twin: pool/health.rs.
local FAILURES_MAX, VOLUME_MIN, COUNTED_MS = 5, 20, 30000
local EJECTION_MS, EJECTION_MAX_MS, SOON_MS = 30000, 300000, 60000
local THROTTLE_MS, THROTTLE_MAX_MS = 250, 30000
local AVERAGE_MS = 10000
local LEARNED_PAUSE_MS, LEARNED_MS = 1000, 600000
local CREDENTIAL_MS = 3000
local PENALTY_STEP, LEARNED_SHARE = 0.2, 0.7

-- A key's record, made by its first outcome.
local function health_of(row)
  local health = row[HEALTH]
  if not health then
    health = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, false, 0 }
    row[HEALTH] = health
  end
  return health
end

-- Its slots as far as they are known: configured, or fewer where 429s taught so; 0: unlimited.
local function slots_now(row)
  local slots, health = row[SLOTS_MAX], row[HEALTH]
  if health and health[SLOTS_LEARNED] > 0 then
    local learned = math.floor(health[SLOTS_LEARNED])
    if slots == 0 or learned < slots then return learned end
  end
  return slots
end

local function is_hopeless(health)
  return health[ADMIN] ~= 0 or health[STATE] > TRIED
end

local function recount(health)
  health[SEEN], health[FAILED], health[COUNTED_SINCE] = 0, 0, pool[NOW]
end

-- What few calls need: made by the first of them.
local sickness_made
local function sickness()
  if sickness_made then return sickness_made end

  -- Makes a key usable again.
  local function recover(health)
    health[STATE], health[STATE_VERSION] = OK, health[STATE_VERSION] + 1
    health[OPEN_AT], health[FAILURES], health[RECOVERED_AT] = 0, 0, pool[NOW]
    recount(health)
    health[TRIAL] = false
  end

  -- Takes a key out, for longer each time; what it survived since its recovery is forgiven.
  local function take_out(row)
    local health = row[HEALTH]
    if health[STATE] == OK then
      local forgiven = math.floor((pool[NOW] - health[RECOVERED_AT]) / EJECTION_MS)
      health[EJECTIONS] = math.max(health[EJECTIONS] - forgiven, 0)
    end
    health[EJECTIONS] = health[EJECTIONS] + 1
    local length = math.min(EJECTION_MS * health[EJECTIONS], EJECTION_MAX_MS)
    -- Spread by a tenth, so that keys which fell together do not come back together.
    local percent = 90 + row[GRANTS] * 7 % 21
    health[OPEN_AT] = math.max(health[OPEN_AT], pool[NOW] + math.floor(length * percent / 100))
    health[STATE], health[STATE_VERSION], health[FAILURES] = EJECTED, health[STATE_VERSION] + 1, 0
    recount(health)
    health[TRIAL] = false
  end

  local function is_usable(index)
    local health = rows[index][HEALTH]
    return not health
      or (health[ADMIN] == 0 and health[STATE] == OK and health[OPEN_AT] <= pool[NOW] + SOON_MS)
  end

  -- Calls `visit` with the keys of each model that has one key, until it answers true; whether it did.
  local function any_model_with(index, visit)
    for i = 0, pool[N_MODELS] - 1 do
      local model = load_model(i)
      local has_key = false
      for _, key in ipairs(model and model[KEYS_OF] or {}) do
        if key == index then has_key = true end
      end
      if has_key then
        load_rows(model[ALL_ROWS])
        if visit(model[KEYS_OF]) then return true end
      end
    end
    return false
  end

  -- Ejects a key, unless a model would be left without a usable one: failing is better than refusing all.
  local function eject(index)
    local is_spared = any_model_with(index, function(keys)
      for _, key in ipairs(keys) do
        if key ~= index and is_usable(key) then return false end
      end
      return true
    end)
    if is_spared then
      -- Asked again after as many failures as before: where everything fails, not each of them looks at all models.
      local health = rows[index][HEALTH]
      health[FAILURES] = 0
      recount(health)
    else
      take_out(rows[index])
    end
    touch(index)
  end

  -- A key is of no use any more: where a model is left with ejected keys alone, they are tried at once.
  local function open_the_last(index)
    any_model_with(index, function(keys)
      for _, key in ipairs(keys) do
        if is_usable(key) then return false end
      end
      for _, key in ipairs(keys) do
        local health = rows[key][HEALTH]
        if health and health[ADMIN] == 0 and health[STATE] == EJECTED then
          health[OPEN_AT] = math.min(health[OPEN_AT], pool[NOW])
          touch(key)
        end
      end
      return false
    end)
  end

  local function quarantine(index, state)
    local health = rows[index][HEALTH]
    if health[STATE] ~= state then
      health[STATE], health[STATE_VERSION], health[TRIAL] = state, health[STATE_VERSION] + 1, false
      open_the_last(index)
    end
  end

  local function throttle(row, release)
    local health, retry = row[HEALTH], release[RETRY_MS]
    health[THROTTLES] = health[THROTTLES] + 1
    local pause = retry
    if retry == 0 then
      pause = math.min(THROTTLE_MS * 2 ^ math.min(health[THROTTLES] - 1, 7), THROTTLE_MAX_MS)
    end
    health[OPEN_AT] = math.max(health[OPEN_AT], pool[NOW] + pause)
    local is_told = retry > 0 or release[REPORTED]
    if not is_told and pool[NOW] - health[LEARNED_AT] >= LEARNED_PAUSE_MS then
      local before = row[IN_USE] + 1
      if health[SLOTS_LEARNED] > 0 then before = math.min(health[SLOTS_LEARNED], before) end
      health[SLOTS_LEARNED] = math.max(math.floor(before * LEARNED_SHARE), 1)
      health[LEARNED_AT] = pool[NOW]
    end
  end

  -- Corrects a key's window by what its provider says is left; never above the configured limit.
  local function learn(row, reported)
    local kind, limit, remaining, resets_in = reported[1], reported[2], reported[3], reported[4]
    for at = FIRST_WINDOW, #row, WINDOW_SIZE do
      if row[at] == kind then
        if limit > 0 then row[at + LEARNED] = limit < row[at + LIMIT] and limit or 0 end
        local believed = row[at + LEARNED] > 0 and row[at + LEARNED] or row[at + LIMIT]
        local used_by_others = believed - row[at + TOTAL] - remaining
        if used_by_others > 0 then
          local span = BUCKET_MS[kind] * RING[kind]
          correct(row, at, pool[NOW] + math.min(resets_in, span) - span, used_by_others)
        end
        return
      end
    end
    -- Nobody counts it here: all that can be done is to wait.
    if remaining == 0 and resets_in > 0 then
      local health = health_of(row)
      health[OPEN_AT] = math.max(health[OPEN_AT], pool[NOW] + resets_in)
    end
  end

  sickness_made = {
    recover = recover,
    take_out = take_out,
    eject = eject,
    open_the_last = open_the_last,
    quarantine = quarantine,
    throttle = throttle,
    learn = learn,
  }
  return sickness_made
end

-- The end of the trial that a lease was, if it was: the key waits for the next one.
local function end_trial(health, session, granted_at)
  if health[STATE] ~= TRIED or health[TRIAL] ~= session or (granted_at and granted_at < health[TRIAL_AT]) then
    return false
  end
  health[STATE], health[TRIAL] = EJECTED, false
  return true
end

-- A moving average in time: the longer nothing was sampled, the more the new sample counts.
local function average(health, field, sample)
  if sample == 0 then return end
  local value = health[field]
  if value <= 0 then
    value = sample
  else
    local passed = math.max(pool[NOW] - health[field + 1], 1)
    value = value + (sample - value) * (passed / (passed + AVERAGE_MS))
  end
  health[field], health[field + 1] = value, pool[NOW]
end

local function count_outcome(health, failed)
  if pool[NOW] - health[COUNTED_SINCE] >= COUNTED_MS then recount(health) end
  health[SEEN], health[FAILED] = health[SEEN] + 1, health[FAILED] + failed
end

local function note_outcome(session, index, release)
  local row, outcome = rows[index], release[OUTCOME]
  local is_silent = outcome == UNSENT or outcome == CLIENT_ABORT or outcome == BAD_REQUEST or outcome == PROBED
  if is_silent and not row[HEALTH] then return end
  local health = health_of(row)
  local was_trial = end_trial(health, session, release[GRANTED_AT])
  if outcome == RATE_LIMITED and release[RETRY_MS] > 0 then
    -- Whatever else is wrong with it: nobody comes back before the provider said so.
    health[OPEN_AT] = math.max(health[OPEN_AT], pool[NOW] + release[RETRY_MS])
  end
  -- What was granted before the key came back tells of what it was then.
  local is_dated = release[GRANTED_AT] <= health[RECOVERED_AT] and not was_trial
  if is_silent or is_dated then return end

  if outcome == SERVED then
    health[SERVED_AT] = pool[NOW]
    health[PENALTY] = health[PENALTY] - health[PENALTY] * PENALTY_STEP
    average(health, FIRST_BYTE, release[FIRST_BYTE_US])
    average(health, TOKEN_TIME, release[TOKEN_US])
    if health[SLOTS_LEARNED] > 0 then
      -- One slot more for each round of successes.
      health[SLOTS_LEARNED] = health[SLOTS_LEARNED] + 1 / health[SLOTS_LEARNED]
      local is_back = row[SLOTS_MAX] > 0 and health[SLOTS_LEARNED] >= row[SLOTS_MAX]
      if is_back or pool[NOW] - health[LEARNED_AT] >= LEARNED_MS then health[SLOTS_LEARNED] = 0 end
    end
    if was_trial then
      sickness().recover(health)
    elseif health[STATE] == OK then
      health[FAILURES], health[THROTTLES] = 0, 0
      count_outcome(health, 0)
    end
  elseif outcome == FAILURE or outcome == UNREACHABLE then
    health[PENALTY] = health[PENALTY] + (1 - health[PENALTY]) * PENALTY_STEP
    if was_trial then
      sickness().take_out(row)
    elseif health[STATE] == OK then
      health[FAILURES] = health[FAILURES] + 1
      count_outcome(health, 1)
      local is_often = health[SEEN] >= VOLUME_MIN and health[FAILED] * 2 >= health[SEEN]
      if health[FAILURES] >= FAILURES_MAX or is_often then sickness().eject(index) end
    end
  elseif outcome == RATE_LIMITED then
    health[PENALTY] = health[PENALTY] + (1 - health[PENALTY]) * PENALTY_STEP
    -- It answers, if only to say that it is busy.
    if was_trial then sickness().recover(health) end
    if health[STATE] == OK then sickness().throttle(row, release) end
  elseif release[GRANTED_AT] < health[RECOVERED_AT] + CREDENTIAL_MS then
    -- Granted shortly after the key came back: it may have used the credential that it had before.
    return
  elseif outcome == REFUSED_KEY then
    sickness().quarantine(index, AUTH_FAILED)
  elseif outcome == NO_MONEY then
    sickness().quarantine(index, EXHAUSTED)
  end
end

-- What the end of a lease says of its key, and what its provider reported.
local function observe(session, index, release)
  note_outcome(session, index, release)
  if release[REPORTED] then
    for _, reported in ipairs(release[REPORTED]) do sickness().learn(rows[index], reported) end
  end
end

-- A grant at an ejected key, be it a request or a probe, is its trial.
local function begin_trial(session, row)
  local health = row[HEALTH]
  if health and health[STATE] == EJECTED then
    health[STATE], health[TRIAL], health[TRIAL_AT] = TRIED, session, pool[NOW]
  end
end
