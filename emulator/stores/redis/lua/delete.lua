-- ARGV id, end of the lease or '', lifetime of the tombstone (s) → 'deleted'; or 'unknown', 'expired', 'conflict'
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
-- Each call removes more expired tombstones than it adds, so they don't accumulate.
for _, old in ipairs(redis.call('ZRANGEBYSCORE', TOMBS, '-inf', whole(now), 'LIMIT', 0, 20)) do
  redis.call('ZREM', TOMBS, old)
end
return 'deleted'
