-- ARGV id of a dead letter → the task, due now, with a lease count of 0; or 'unknown', 'damaged'
if damaged() then return 'damaged' end
local id = ARGV[1]
local task = read(id, DEAD_RECORDS)
local payload = redis.call('HGET', DEAD_PAYLOADS, id)
if not task and not payload then return 'unknown' end
if not (task and payload) or read(id) then return 'damaged' end
-- These free memory, so that the rest is possible when memory is exhausted.
redis.call('ZREM', DEAD, id)
redis.call('HDEL', DEAD_RECORDS, id)
redis.call('HDEL', DEAD_PAYLOADS, id)
redis.call('HSET', PAYLOADS, id, payload)
task.eta = now
task.leases = 0
write(task)
redis.call('ZADD', ETA, whole(now), id)
redis.call('ZADD', TAGGED, 0, member(task.tag, now, id))
record(tasks + 1, dead - 1)
notify()
return reply(task)
