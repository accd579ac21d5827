-- ARGV count, seconds, 'any' or 'oldest' or 'tag', tag, most bytes, most leases or '', '1' when somebody waits
--   → { the tasks leased, '1' when more were to go to the dead letters than one step takes }; or 'undeclared'
local count, seconds, rule, tag, most, limit = tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[3], ARGV[4], tonumber(ARGV[5]), tonumber(ARGV[6])
local BURIED_MOST = 1000
local PAGE = 100
local leased, size, buried, full = {}, 0, 0, false

local function note_waiting()
  -- pcall: without memory for this, those who wait still look again by themselves.
  if ARGV[7] == '1' and not state[3] then redis.pcall('HSET', STATE, 'awaited', '1') end
end

if ARGV[7] == '1' and not state[1] then return 'undeclared' end
if state[2] then
  note_waiting()
  return { leased, '' }
end

-- The ids that are due, oldest first: of all, or of the tag.
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

-- Whether this task may be leased again; if not it goes to the dead letters.
local function alive(task)
  if not limit or task.leases < limit then return true end
  bury(task)
  return false
end

if rule == 'oldest' then
  repeat
    local oldest = due(1)[1]
    if not oldest then break end
    local task = read(oldest)
    if alive(task) then
      tag = task.tag
      rule = 'tag'
    end
  until rule == 'tag' or buried >= BURIED_MOST
end

-- What is leased or buried leaves the start of the range that is due, so the next page begins there again. A lease of
-- 0 s is due again at once, at the end of the range: what was seen is passed over.
local seen = {}
while rule ~= 'oldest' and #leased < count and not full and buried < BURIED_MOST do
  local ids = due(math.min(count, PAGE))
  local fresh = 0
  for _, id in ipairs(ids) do
    if not seen[id] then
      seen[id] = true
      fresh = fresh + 1
      local task = read(id)
      if alive(task) then
        size = size + redis.call('HSTRLEN', PAYLOADS, id)
        if #leased > 0 and size > most then
          full = true
          break
        end
        local before = task.leases
        task.leases = before + 1
        move(task, now + seconds * 1000000)
        leased[#leased + 1] = reply(task, before)
      end
      if #leased == count or buried >= BURIED_MOST then break end
    end
  end
  if fresh == 0 then break end
end

if #leased == 0 then
  note_waiting()
else
  local second = whole(math.floor(now / 1000000))
  local so_far = 0
  local last = redis.call('ZRANGEBYSCORE', LEASED, second, second)[1]
  if last then
    so_far = tonumber(string.match(last, '|(%d+)$'))
    redis.call('ZREM', LEASED, last)
  end
  redis.call('ZADD', LEASED, second, second .. '|' .. whole(so_far + #leased))
  -- Each lease forgets a few seconds that are over an hour old, so none ever has to forget many.
  for _, old in ipairs(redis.call('ZRANGEBYSCORE', LEASED, '-inf', second - 3600, 'LIMIT', 0, 10)) do
    redis.call('ZREM', LEASED, old)
  end
end
return { leased, buried >= BURIED_MOST and '1' or '' }
