-- Shared by all transitions: the keys of one queue, the clock, how a task's record is kept.
-- KEYS 1 eta      zset   id by ETA (µs)
--      2 tagged   zset   all at score 0, member "tag \0 ETA(17 digits) \0 id": one tag's tasks in order of ETA
--      3 records  hash   id → "ETA|enqueued|leases so far|tag"
--      4 payloads hash   id → Base64
--      5 tombs    zset   deleted id by the end of its tombstone (µs)
--      6 leases   hash   second → leases made in it
--      7 seconds  zset   the seconds in 6, to forget the old ones by
local ETA, TAGGED, RECORDS, PAYLOADS, TOMBS, LEASES, SECONDS =
  KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6], KEYS[7]
local clock = redis.call('TIME')
local now = tonumber(clock[1]) * 1000000 + tonumber(clock[2])

-- Microseconds fit a double, but tostring would round them.
local function whole(number) return string.format('%.0f', number) end

local function member(tag, eta, id) return tag .. '\0' .. string.format('%017.0f', eta) .. '\0' .. id end

local function read(id)
  local record = redis.call('HGET', RECORDS, id)
  if not record then return nil end
  local eta, enqueued, leases, tag = string.match(record, '^(%d+)|(%d+)|(%d+)|(.*)$')
  return { id = id, eta = tonumber(eta), enqueued = enqueued, leases = tonumber(leases), tag = tag }
end

local function write(task)
  redis.call('HSET', RECORDS, task.id,
    whole(task.eta) .. '|' .. task.enqueued .. '|' .. whole(task.leases) .. '|' .. task.tag)
end

-- Move a task to another ETA, in both indexes.
local function move(task, eta)
  redis.call('ZADD', ETA, whole(eta), task.id)
  redis.call('ZREM', TAGGED, member(task.tag, task.eta, task.id))
  redis.call('ZADD', TAGGED, 0, member(task.tag, eta, task.id))
  task.eta = eta
  write(task)
end

local function reply(task, leases)
  return { task.id, redis.call('HGET', PAYLOADS, task.id), task.tag, task.enqueued, whole(task.eta), whole(leases) }
end
