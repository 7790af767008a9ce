-- The server's own clock and run id. Read once: TIME is not frozen inside a script.
local function server_clock()
  local time = redis.call('TIME')
  local run = string.match(redis.call('INFO', 'server'), 'run_id:(%x+)')
  return time[1] * 1000 + math.floor(time[2] / 1000), run
end
