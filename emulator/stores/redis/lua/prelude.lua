-- Prepended to every script: the keys of one queue, the clock, and the format of task records.
-- KEYS 1 state    hash   offset: µs by which the clock was advanced; paused: 1; awaited: 1 if an awaited lease found nothing
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
local state = redis.call('HMGET', STATE, 'offset', 'paused', 'awaited')
local clock = redis.call('TIME')
local now = tonumber(clock[1]) * 1000000 + tonumber(clock[2]) + tonumber(state[1] or 0)

-- A double represents microseconds exactly, but tostring would round them.
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

local function reply(task, leases, payloads)
  local payload = redis.call('HGET', payloads or PAYLOADS, task.id)
  return { task.id, payload, task.tag, task.enqueued, whole(task.eta), whole(leases or task.leases) }
end

-- Notify the watchers if an awaited lease found nothing since the last notification. Channel and queue name are the last
-- two arguments of every script.
local function notify()
  if state[3] then
    redis.call('HDEL', STATE, 'awaited')
    redis.call('PUBLISH', ARGV[#ARGV - 1], ARGV[#ARGV])
  end
end
