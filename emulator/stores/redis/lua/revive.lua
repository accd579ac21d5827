-- ARGV id of a dead letter → the task, due now, not leased so far; or 'unknown'
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
tell()
return reply(task)
