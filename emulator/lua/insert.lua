-- ARGV id, payload, tag, ETA or '' for now → the task; or 'exists'
local id = ARGV[1]
redis.call('ZREMRANGEBYSCORE', TOMBS, '-inf', whole(now))
if redis.call('HEXISTS', RECORDS, id) == 1 or redis.call('ZSCORE', TOMBS, id) then return 'exists' end
-- The largest write first: when memory runs out, nothing has been done yet.
redis.call('HSET', PAYLOADS, id, ARGV[2])
local task = { id = id, eta = ARGV[4] == '' and now or tonumber(ARGV[4]), enqueued = whole(now), leases = 0, tag = ARGV[3] }
write(task)
redis.call('ZADD', ETA, whole(task.eta), id)
redis.call('ZADD', TAGGED, 0, member(task.tag, task.eta, id))
return reply(task, 0)
