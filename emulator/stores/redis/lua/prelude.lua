-- Shared by all transitions: the keys of one queue, the clock, how a task's record is kept.
-- KEYS 1 state    hash   offset: µs that the clock was moved ahead; paused: 1; awaited: 1 when a lease that waits found nothing
--      2 eta      zset   id by ETA (µs)
--      3 tagged   zset   all at score 0, member "tag \0 ETA(17 digits) \0 id": one tag's tasks in order of ETA
--      4 records  hash   id → "ETA|enqueued|leases so far|tag"
--      5 payloads hash   id → Base64
--      6 tombs    zset   deleted id by the end of its tombstone (µs)
--      7 leased   zset   "second|leases made in it" by second
--      8 dead     zset   id of a dead letter by the end of its last lease (µs)
--      9, 10             records and payloads of the dead letters
local STATE, ETA, TAGGED, RECORDS, PAYLOADS, TOMBS, LEASED, DEAD, DEAD_RECORDS, DEAD_PAYLOADS =
  KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6], KEYS[7], KEYS[8], KEYS[9], KEYS[10]
local state = redis.call('HMGET', STATE, 'offset', 'paused', 'awaited')
local clock = redis.call('TIME')
local now = tonumber(clock[1]) * 1000000 + tonumber(clock[2]) + tonumber(state[1] or 0)

-- Microseconds fit a double, but tostring would round them.
local function whole(number) return string.format('%.0f', number) end

local function member(tag, eta, id) return tag .. '\0' .. string.format('%017.0f', eta) .. '\0' .. id end

local function read(id, records)
  local record = redis.call('HGET', records or RECORDS, id)
  if not record then return nil end
  local eta, enqueued, leases, tag = string.match(record, '^(%d+)|(%d+)|(%d+)|(.*)$')
  return { id = id, eta = tonumber(eta), enqueued = enqueued, leases = tonumber(leases), tag = tag }
end

local function write(task, records)
  redis.call('HSET', records or RECORDS, task.id,
    whole(task.eta) .. '|' .. task.enqueued .. '|' .. whole(task.leases) .. '|' .. task.tag)
end

-- Move a task to another ETA, in both indexes. Redis refuses the first write of a script that may need memory
-- when it has none left: this one begins by giving some back, so that a full queue can be worked off.
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

local function reply(task, leases, payloads)
  local payload = redis.call('HGET', payloads or PAYLOADS, task.id)
  return { task.id, payload, task.tag, task.enqueued, whole(task.eta), whole(leases or task.leases) }
end

-- Tell those who watch, if a lease that waits found nothing since they were last told. CHANNEL and NAME are the last arguments.
local function tell()
  if state[3] then
    redis.call('HDEL', STATE, 'awaited')
    redis.call('PUBLISH', ARGV[#ARGV - 1], ARGV[#ARGV])
  end
end
