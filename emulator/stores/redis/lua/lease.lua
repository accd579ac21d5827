-- ARGV count, seconds, 'any' or 'oldest' or 'tag', tag, max bytes, retry limit or '', '1' if the lease is awaited
--   → { the leased tasks, '1' if more tasks may have to move to the dead letters than one call moves };
--   or 'undeclared', 'damaged'
if damaged() then return 'damaged' end
local count, seconds, rule, tag = tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[3], ARGV[4]
local max_bytes, limit = tonumber(ARGV[5]), tonumber(ARGV[6])
local MAX_BURIED = 1000
local PAGE = 100
local MAX_SWEPT = 100
local leased, size, buried, full, broken = {}, 0, 0, false, false

-- Write to the state of the queue if that is possible. If memory is exhausted, it is not important: waiting leases retry
-- periodically. Any other error is returned, because only a write reveals that this Redis has become a replica.
local function note(field, value)
  local outcome = redis.pcall('HSET', STATE, field, value)
  if type(outcome) == 'table' and outcome.err and not string.find(outcome.err, 'OOM', 1, true) then return outcome end
end

-- The reply if nothing can be leased.
local function nothing(more)
  local failure
  if ARGV[7] == '1' and not state[3] then failure = note('awaited', '1') end
  if not failure and state[1] and shift ~= number(state[7]) then failure = note('shift', whole(shift)) end
  return failure or { {}, more and '1' or '' }
end

if ARGV[7] == '1' and not state[1] then return 'undeclared' end
if state[2] then return nothing() end

-- The IDs of due tasks, oldest first: of all tasks, or of those with the tag.
local function due(number)
  if rule ~= 'tag' then return redis.call('ZRANGEBYSCORE', ETA, '-inf', whole(now), 'LIMIT', 0, number) end
  local first, last = '[' .. tag .. '\0', '[' .. tag .. '\0' .. string.format('%017.0f', now) .. '\0\255'
  local ids = redis.call('ZRANGEBYLEX', TAGGED, first, last, 'LIMIT', 0, number)
  for i, found in ipairs(ids) do ids[i] = string.sub(found, #tag + 20) end
  return ids
end

local function bury(task)
  local payload = redis.call('HGET', PAYLOADS, task.id)
  drop(task)
  redis.call('HSET', DEAD_PAYLOADS, task.id, payload)
  write(task, DEAD_RECORDS)
  redis.call('ZADD', DEAD, whole(task.eta), task.id)
  buried = buried + 1
end

-- The task of an entry in an index, and the size of its payload. If they are missing, or the task is not due, the queue is
-- damaged: `broken` is set.
local function due_task(id)
  local task = read(id)
  local bytes = redis.call('HSTRLEN', PAYLOADS, id)
  local complete = bytes > 0 or redis.call('HEXISTS', PAYLOADS, id) == 1
  if task and task.eta <= now and complete then return task, bytes end
  broken = true
end

-- Whether the task may be leased again; if not, it is moved to the dead letters.
local function below_limit(task)
  if not limit or task.leases < limit then return true end
  bury(task)
  return false
end

if rule == 'oldest' then
  repeat
    local oldest = due(1)[1]
    local task = oldest and due_task(oldest)
    if not task then break end
    if below_limit(task) then
      tag = task.tag
      rule = 'tag'
    end
  until rule == 'tag' or buried >= MAX_BURIED
end

-- Leased and buried tasks leave the range of due tasks, so each page is read from the start of the range. A task leased
-- for 0 s is due again at once, at the end of the range, so tasks that were already seen are skipped.
local visited = {}
while rule ~= 'oldest' and #leased < count and not full and not broken and buried < MAX_BURIED do
  local ids = due(math.min(count, PAGE))
  local fresh = 0
  for _, id in ipairs(ids) do
    if not visited[id] then
      visited[id] = true
      fresh = fresh + 1
      local task, bytes = due_task(id)
      if broken then break end
      if below_limit(task) then
        size = size + bytes
        if #leased > 0 and size > max_bytes then
          full = true
          break
        end
        local before = task.leases
        task.leases = before + 1
        move(task, now + seconds * 1000000)
        leased[#leased + 1] = reply(task, before)
      end
      if #leased == count or buried >= MAX_BURIED then break end
    end
  end
  if fresh == 0 then break end
end

-- After a change, the damage is left to the next call.
local changed = #leased > 0 or buried > 0
if not changed and (broken or miscounted()) then return 'damaged' end
if broken then redis.call('HSET', STATE, 'suspect', '1') end
if buried > 0 then record(tasks - buried, dead + buried) elseif changed then record_clock() end
-- Polls without work remove expired tombstones, which would otherwise remain after the last deletion.
if not changed then sweep(TOMBS, whole(now), MAX_SWEPT) end
if #leased == 0 then return nothing(broken or buried >= MAX_BURIED) end

local second = whole(math.floor(now / 1000000))
local so_far = 0
local last = redis.call('ZRANGEBYSCORE', LEASED, second, second)[1]
if last then
  so_far = tonumber(string.match(last, '|(%d+)$'))
  redis.call('ZREM', LEASED, last)
end
redis.call('ZADD', LEASED, second, second .. '|' .. whole(so_far + #leased))
-- Each lease removes a few entries that are over an hour old, so no lease has to remove many.
sweep(LEASED, second - 3600, 10)
return { leased, buried >= MAX_BURIED and '1' or '' }
