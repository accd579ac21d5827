-- ARGV id of a dead letter → the task, due now, with a lease count of 0; or 'unknown'
local id = ARGV[1]
local task = read(id, DEAD_RECORDS)
if not task then return 'unknown' end
redis.call('HSET', PAYLOADS, id, redis.call('HGET', DEAD_PAYLOADS, id))
task.eta = now
task.leases = 0
write(task)
redis.call('ZADD', ETA, whole(now), id)
redis.call('ZADD', TAGGED, 0, member(task.tag, now, id))
redis.call('ZREM', DEAD, id)
redis.call('HDEL', DEAD_RECORDS, id)
redis.call('HDEL', DEAD_PAYLOADS, id)
notify()
return reply(task)
