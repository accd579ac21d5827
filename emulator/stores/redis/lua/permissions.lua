-- KEYS of a queue. ARGV channel of the notifications, and '' → the commands that this user of Redis may not use, of those
--   that the scripts and the store need; empty before Redis 7.0. It has no prelude, which needs some of them.
local STATE, ETA, TAGGED, RECORDS = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local missing = {}
local function need(...)
  local known, permitted = pcall(redis.acl_check_cmd, ...)
  if known and not permitted then missing[#missing + 1] = (...) end
end
if redis.acl_check_cmd then
  for _, command in ipairs({ 'HMGET', 'HGET', 'HDEL', 'HEXISTS', 'HSTRLEN' }) do need(command, RECORDS, 'field') end
  for _, command in ipairs({ 'HSET', 'HSETNX' }) do need(command, RECORDS, 'field', 'value') end
  for _, command in ipairs({ 'HLEN', 'HKEYS', 'HGETALL', 'ZCARD', 'EXISTS', 'UNLINK', 'SMEMBERS', 'GET', 'DEL' }) do
    need(command, STATE)
  end
  for _, command in ipairs({ 'ZREM', 'ZSCORE', 'ZRANK', 'SADD', 'SREM', 'INCRBY', 'EXPIRE', 'SET' }) do need(command, ETA, '1') end
  for _, command in ipairs({ 'ZRANGE', 'ZRANGEBYSCORE', 'ZRANGEBYLEX', 'ZREMRANGEBYSCORE' }) do need(command, ETA, '0', '1') end
  need('HINCRBY', STATE, 'field', '1')
  need('ZADD', ETA, '0', 'member')
  need('COPY', ETA, TAGGED)
  need('TIME')
  need('SCAN', '0')
  need('PUBLISH', ARGV[#ARGV - 1], '')
  need('SUBSCRIBE', ARGV[#ARGV - 1])
end
return missing
