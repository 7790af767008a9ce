-- rights: which commands the Redis user may not run of those that Sluice sends or its scripts call. Changes nothing.
--
-- Asked once, before the first boot: a right that is missing would abort a script in the middle of what it writes.
-- ARGV  1 a channel of ours. Returns packed the names, by comma.
local of_keys = {
  'BITFIELD', 'GET', 'GETRANGE', 'HDEL', 'HEXISTS', 'HGET', 'HGETALL', 'HKEYS', 'HMGET', 'HSET', 'SET',
  'SETRANGE', 'STRLEN', 'ZADD', 'ZCARD', 'ZRANGE', 'ZRANGEBYSCORE', 'ZREM', 'ZSCORE',
}
local denied = {}
local function check(name, ...)
  if not redis.acl_check_cmd(...) then denied[#denied + 1] = name end
end
for _, name in ipairs(of_keys) do check(name, name, KEYS[1], '0', '0') end
for _, name in ipairs({ 'INFO', 'TIME', 'MULTI', 'EXEC', 'PING', 'UNWATCH' }) do check(name, name) end
check('DEL', 'DEL', KEYS[1])
check('EVALSHA', 'EVALSHA', 'sha', '1', KEYS[1])
check('SCRIPT LOAD', 'SCRIPT', 'LOAD', 'source')
check('PUBLISH', 'PUBLISH', ARGV[1], '')
check('SUBSCRIBE', 'SUBSCRIBE', ARGV[1])
check('UNSUBSCRIBE', 'UNSUBSCRIBE', ARGV[1])
return cmsgpack.pack(table.concat(denied, ', '))
