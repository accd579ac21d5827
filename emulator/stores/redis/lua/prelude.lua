-- Prepended to every script: the keys of one queue, the clock, the format of task records, and the check for lost keys.
-- KEYS 1 state    hash   offset: µs by which the clock was advanced; paused: 1; awaited: 1 if an awaited lease found nothing;
--                        tasks, dead: number of tasks and dead letters; seen: latest time (µs) that was recorded;
--                        shift: µs by which the clock of Redis was set back; suspect: 1 if a script found an inconsistency
--      2 eta      zset   ID by ETA (µs)
--      3 tagged   zset   all with score 0, member "tag \0 ETA(17 digits) \0 id": the tasks of each tag by ETA
--      4 records  hash   ID → "ETA|enqueued|number of leases|tag"
--      5 payloads hash   ID → Base64
--      6 tombs    zset   ID of a deleted task by the end of its tombstone (µs)
--      7 leased   zset   "second|leases in that second" by second
--      8 dead     zset   ID of a dead letter by the end of its last lease (µs)
--      9, 10    hashes   records and payloads of the dead letters
local STATE, ETA, TAGGED, RECORDS, PAYLOADS, TOMBS, LEASED, DEAD, DEAD_RECORDS, DEAD_PAYLOADS =
  KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6], KEYS[7], KEYS[8], KEYS[9], KEYS[10]
local state = redis.call('HMGET', STATE, 'offset', 'paused', 'awaited', 'tasks', 'dead', 'seen', 'shift', 'suspect')
local function number(text) return tonumber(text or 0) or 0 end
local tasks, dead = number(state[4]), number(state[5])

-- The clock of the queue is that of Redis, but it never goes back: while Redis is behind the latest recorded time, `shift`
-- makes up for the difference. Tasks that are due stay due, and new leases end in time.
local clock = redis.call('TIME')
local redis_now = tonumber(clock[1]) * 1000000 + tonumber(clock[2]) + number(state[1])
local seen, shift = number(state[6]), number(state[7])
if redis_now >= seen then
  shift = 0
elseif redis_now + shift < seen then
  shift = seen - redis_now
end
local now = redis_now + shift
-- µs by which `seen` may be behind, so that not every script has to write it. When Redis is set back, the clock of the queue
-- may go back by as much.
local SEEN_INTERVAL = 1000000

-- A double represents microseconds exactly, but tostring would round them.
local function whole(number) return string.format('%.0f', number) end

local function member(tag, eta, id) return tag .. '\0' .. string.format('%017.0f', eta) .. '\0' .. id end

-- Whether Redis has lost keys of this queue, by eviction or because they were deleted. The reply of the script is then
-- 'damaged', nothing has changed, and the caller runs repair.lua.
local function damaged()
  local expected = (tasks > 0 and 4 or 0) + (dead > 0 and 3 or 0)
  return state[8] or redis.call('EXISTS', ETA, TAGGED, RECORDS, PAYLOADS, DEAD, DEAD_RECORDS, DEAD_PAYLOADS) ~= expected
    or (expected > 0 and not (state[1] and state[4]))
end

-- The same, by counting the entries. It also finds entries that are missing in one of the keys.
local function miscounted()
  return redis.call('ZCARD', ETA) ~= tasks or redis.call('ZCARD', TAGGED) ~= tasks
    or redis.call('HLEN', RECORDS) ~= tasks or redis.call('HLEN', PAYLOADS) ~= tasks
    or redis.call('ZCARD', DEAD) ~= dead or redis.call('HLEN', DEAD_RECORDS) ~= dead
    or redis.call('HLEN', DEAD_PAYLOADS) ~= dead
end

-- Record the number of tasks and, from time to time, the clock. It is the last write of a script: if memory is exhausted,
-- Redis permits it only after one that frees memory.
local function record(task_count, dead_count)
  local changed = { 'tasks', task_count }
  tasks = task_count
  if dead_count and dead_count ~= dead then
    changed[3], changed[4] = 'dead', dead_count
    dead = dead_count
  end
  if now - seen > SEEN_INTERVAL then
    changed[#changed + 1] = 'seen'
    changed[#changed + 1] = whole(now)
  end
  if shift ~= number(state[7]) then
    changed[#changed + 1] = 'shift'
    changed[#changed + 1] = whole(shift)
  end
  redis.call('HSET', STATE, unpack(changed))
end

-- The same for scripts that change no number of tasks.
local function record_clock()
  if now - seen > SEEN_INTERVAL or shift ~= number(state[7]) then record(tasks) end
end

local function read(id, records)
  local found = redis.call('HGET', records or RECORDS, id)
  if not found then return nil end
  local eta, enqueued, leases, tag = string.match(found, '^(%d+)|(%d+)|(%d+)|(.*)$')
  if not eta then return nil end
  return { id = id, eta = tonumber(eta), enqueued = enqueued, leases = tonumber(leases), tag = tag }
end

-- Whether there is something of a task without a record: it was damaged rather than deleted.
local function remains(id)
  return redis.call('HEXISTS', PAYLOADS, id) == 1 or redis.call('ZSCORE', ETA, id)
end

local function write(task, records)
  redis.call('HSET', records or RECORDS, task.id,
    whole(task.eta) .. '|' .. task.enqueued .. '|' .. whole(task.leases) .. '|' .. task.tag)
end

-- Change the ETA of a task in both indexes. When memory is exhausted, Redis refuses a script if its first write may
-- allocate memory. This one frees memory first, so a full queue can still be processed.
local function move(task, eta)
  redis.call('ZREM', TAGGED, member(task.tag, task.eta, task.id))
  redis.call('ZADD', TAGGED, 0, member(task.tag, eta, task.id))
  redis.call('ZADD', ETA, whole(eta), task.id)
  task.eta = eta
  write(task)
end

local function drop(task)
  redis.call('ZREM', ETA, task.id)
  redis.call('ZREM', TAGGED, member(task.tag, task.eta, task.id))
  redis.call('HDEL', RECORDS, task.id)
  redis.call('HDEL', PAYLOADS, task.id)
end

-- The reply for a task; nil if its payload is missing.
local function reply(task, leases, payloads)
  local payload = redis.call('HGET', payloads or PAYLOADS, task.id)
  if not payload then return nil end
  return { task.id, payload, task.tag, task.enqueued, whole(task.eta), whole(leases or task.leases) }
end

local function sweep(key, before, number)
  for _, old in ipairs(redis.call('ZRANGEBYSCORE', key, '-inf', before, 'LIMIT', 0, number)) do
    redis.call('ZREM', key, old)
  end
end

-- Notify the watchers if an awaited lease found nothing since the last notification. Channel and queue name are the last
-- two arguments of every script. pcall: a user of Redis may lack the permission for the channel; waiting leases then poll.
local function notify()
  if state[3] then
    redis.call('HDEL', STATE, 'awaited')
    redis.pcall('PUBLISH', ARGV[#ARGV - 1], ARGV[#ARGV])
  end
end
