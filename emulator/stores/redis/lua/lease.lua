-- ARGV count, seconds, 'any' or 'oldest' or 'tag', tag, max bytes, retry limit or '', '1' if the lease is awaited
--   → { the leased tasks, '1' if more tasks may have to move to the dead letters than one call moves }; or 'undeclared'
local count, seconds, rule, tag = tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[3], ARGV[4]
local max_bytes, limit = tonumber(ARGV[5]), tonumber(ARGV[6])
local MAX_BURIED = 1000
local PAGE = 100
local leased, size, buried, full = {}, 0, 0, false

local function mark_awaited()
  -- pcall: if memory is exhausted, waiting leases still retry periodically.
  if ARGV[7] == '1' and not state[3] then redis.pcall('HSET', STATE, 'awaited', '1') end
end

if ARGV[7] == '1' and not state[1] then return 'undeclared' end
if state[2] then
  mark_awaited()
  return { leased, '' }
end

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

-- Whether the task may be leased again; if not, it is moved to the dead letters.
local function below_limit(task)
  if not limit or task.leases < limit then return true end
  bury(task)
  return false
end

if rule == 'oldest' then
  repeat
    local oldest = due(1)[1]
    if not oldest then break end
    local task = read(oldest)
    if below_limit(task) then
      tag = task.tag
      rule = 'tag'
    end
  until rule == 'tag' or buried >= MAX_BURIED
end

-- Leased and buried tasks leave the range of due tasks, so each page is read from the start of the range. A task leased
-- for 0 s is due again at once, at the end of the range, so tasks that were already seen are skipped.
local seen = {}
while rule ~= 'oldest' and #leased < count and not full and buried < MAX_BURIED do
  local ids = due(math.min(count, PAGE))
  local fresh = 0
  for _, id in ipairs(ids) do
    if not seen[id] then
      seen[id] = true
      fresh = fresh + 1
      local task = read(id)
      if below_limit(task) then
        size = size + redis.call('HSTRLEN', PAYLOADS, id)
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

if #leased == 0 then
  mark_awaited()
else
  local second = whole(math.floor(now / 1000000))
  local so_far = 0
  local last = redis.call('ZRANGEBYSCORE', LEASED, second, second)[1]
  if last then
    so_far = tonumber(string.match(last, '|(%d+)$'))
    redis.call('ZREM', LEASED, last)
  end
  redis.call('ZADD', LEASED, second, second .. '|' .. whole(so_far + #leased))
  -- Each lease removes a few entries that are over an hour old, so no lease has to remove many.
  for _, old in ipairs(redis.call('ZRANGEBYSCORE', LEASED, '-inf', second - 3600, 'LIMIT', 0, 10)) do
    redis.call('ZREM', LEASED, old)
  end
end
return { leased, buried >= MAX_BURIED and '1' or '' }
