-- ARGV offset of the clock (µs) → { lost tasks, tasks restored without their record, lost dead letters, dead letters restored
--   without their record, '1' if the state was lost }. Rebuilds the indexes from what is left of the queue.
-- A task whose payload is left is kept: its ETA and tag come from its record or else from the indexes, and if they are gone
-- too, it is due now and has no tag. A task without a payload is lost, and its entries are removed.
local PAIRS = 2 -- WITHSCORES and HGETALL return a flat list

local function by_id(flat)
  local found = {}
  for i = 1, #flat, PAIRS do found[flat[i]] = flat[i + 1] end
  return found
end

local function repair(index, records, payloads, tagged, count)
  local known = {}
  local etas = by_id(redis.call('ZRANGE', index, 0, -1, 'WITHSCORES'))
  local tags = {}
  for _, entry in ipairs(tagged and redis.call('ZRANGE', tagged, 0, -1) or {}) do
    local tag, eta, id = string.match(entry, '^([^%z]*)%z(%d+)%z(.*)$')
    tags[id] = tag
    etas[id] = etas[id] or eta
  end
  -- This frees memory first, so it is possible when memory is exhausted.
  redis.call('UNLINK', index)
  if tagged then redis.call('UNLINK', tagged) end
  local kept, restored = 0, 0
  for _, id in ipairs(redis.call('HKEYS', payloads)) do
    known[id] = true
    local task = read(id, records)
    if not task then
      local eta = tonumber(etas[id] or now)
      task = { id = id, eta = eta, enqueued = whole(math.min(eta, now)), leases = 0, tag = tags[id] or '' }
      write(task, records)
      restored = restored + 1
    end
    redis.call('ZADD', index, whole(task.eta), id)
    if tagged then redis.call('ZADD', tagged, 0, member(task.tag, task.eta, id)) end
    kept = kept + 1
  end
  local lost = 0
  for _, id in ipairs(redis.call('HKEYS', records)) do
    if not known[id] then
      redis.call('HDEL', records, id)
      etas[id] = etas[id] or now
    end
  end
  for id in pairs(etas) do
    if not known[id] then lost = lost + 1 end
  end
  return kept, restored, math.max(lost, count - kept)
end

local live_kept, live_restored, live_lost = repair(ETA, RECORDS, PAYLOADS, TAGGED, tasks)
local dead_kept, dead_restored, dead_lost = repair(DEAD, DEAD_RECORDS, DEAD_PAYLOADS, nil, dead)
local offset = math.max(tonumber(ARGV[1]), number(state[1]))
redis.call('HSET', STATE, 'offset', whole(offset), 'tasks', live_kept, 'dead', dead_kept)
redis.call('HDEL', STATE, 'suspect')
redis.pcall('PUBLISH', ARGV[#ARGV - 1], ARGV[#ARGV])
return { live_lost, live_restored, dead_lost, dead_restored, state[1] and '' or '1' }
