-- ARGV id, end of the lease or '', lifetime of the tombstone (s) → 'deleted'; or 'unknown', 'expired', 'conflict', 'damaged'
if damaged() then return 'damaged' end
local id = ARGV[1]
local task = read(id)
if not task and remains(id) then return 'damaged' end
if ARGV[2] ~= '' then
  if not task then return 'unknown' end
  if tonumber(ARGV[2]) ~= task.eta then return 'conflict' end
  if task.eta <= now then return 'expired' end
end
if task then
  drop(task)
  redis.call('ZADD', TOMBS, whole(now + tonumber(ARGV[3]) * 1000000), id)
  record(tasks - 1)
else
  local known = redis.call('HDEL', DEAD_RECORDS, id) + redis.call('HDEL', DEAD_PAYLOADS, id) + redis.call('ZREM', DEAD, id)
  if known == 0 then return 'unknown' end
  redis.call('ZADD', TOMBS, whole(now + tonumber(ARGV[3]) * 1000000), id)
  record(tasks, dead - 1)
end
-- Each call removes more expired tombstones than it adds, so they don't accumulate.
sweep(TOMBS, whole(now), 20)
return 'deleted'
