-- ARGV id, seconds of its tombstone → 'deleted'; or 'unknown'
local task = read(ARGV[1])
if not task then return 'unknown' end
redis.call('ZADD', TOMBS, whole(now + tonumber(ARGV[2]) * 1000000), task.id)
redis.call('ZREM', ETA, task.id)
redis.call('ZREM', TAGGED, member(task.tag, task.eta, task.id))
redis.call('HDEL', RECORDS, task.id)
redis.call('HDEL', PAYLOADS, task.id)
return 'deleted'
