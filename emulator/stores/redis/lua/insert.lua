-- ARGV id, payload, tag, ETA or '' for now → the task; or 'undeclared', 'exists', 'damaged'
if damaged() then return 'damaged' end
if not state[1] then return 'undeclared' end
local id = ARGV[1]
if redis.call('HEXISTS', RECORDS, id) == 1 then return 'exists' end
if dead > 0 and redis.call('HEXISTS', DEAD_RECORDS, id) == 1 then return 'exists' end
local tomb = redis.call('ZSCORE', TOMBS, id)
if tomb and tonumber(tomb) > now then return 'exists' end
-- The largest write comes first: if memory is exhausted, nothing has changed yet.
if redis.call('HSETNX', PAYLOADS, id, ARGV[2]) == 0 then return 'damaged' end
local task = { id = id, eta = ARGV[4] == '' and now or tonumber(ARGV[4]), enqueued = whole(now), leases = 0, tag = ARGV[3] }
write(task)
redis.call('ZADD', ETA, whole(task.eta), id)
redis.call('ZADD', TAGGED, 0, member(task.tag, task.eta, id))
record(tasks + 1)
notify()
return { id, ARGV[2], task.tag, task.enqueued, whole(task.eta), '0' }
