-- ARGV id, end of the lease or '', seconds of its tombstone → 'deleted'; or 'unknown', 'expired', 'conflict'
local id = ARGV[1]
local task = read(id)
if ARGV[2] ~= '' then
  if not task then return 'unknown' end
  if tonumber(ARGV[2]) ~= task.eta then return 'conflict' end
  if task.eta <= now then return 'expired' end
end
if task then
  drop(task)
elseif redis.call('ZREM', DEAD, id) == 1 then
  redis.call('HDEL', DEAD_RECORDS, id)
  redis.call('HDEL', DEAD_PAYLOADS, id)
else
  return 'unknown'
end
redis.call('ZADD', TOMBS, whole(now + tonumber(ARGV[3]) * 1000000), id)
-- Each step takes away more old tombstones than it makes, so they never pile up.
for _, old in ipairs(redis.call('ZRANGEBYSCORE', TOMBS, '-inf', whole(now), 'LIMIT', 0, 20)) do
  redis.call('ZREM', TOMBS, old)
end
return 'deleted'
