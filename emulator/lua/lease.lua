-- ARGV count, seconds, 'any' or 'oldest' or 'tag', tag, most bytes → the tasks leased
local count, seconds, rule, tag, most = tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[3], ARGV[4], tonumber(ARGV[5])
if rule == 'oldest' then
  local oldest = redis.call('ZRANGEBYSCORE', ETA, '-inf', whole(now), 'LIMIT', 0, 1)
  if #oldest == 0 then return {} end
  tag = read(oldest[1]).tag
end
local ids = {}
if rule == 'any' then
  ids = redis.call('ZRANGEBYSCORE', ETA, '-inf', whole(now), 'LIMIT', 0, count)
else
  local first, last = '[' .. tag .. '\0', '[' .. tag .. '\0' .. string.format('%017.0f', now) .. '\0\255'
  for i, found in ipairs(redis.call('ZRANGEBYLEX', TAGGED, first, last, 'LIMIT', 0, count)) do
    ids[i] = string.sub(found, #tag + 20)
  end
end
local leased, size = {}, 0
for _, id in ipairs(ids) do
  size = size + redis.call('HSTRLEN', PAYLOADS, id)
  if #leased > 0 and size > most then break end
  local task = read(id)
  local before = task.leases
  task.leases = before + 1
  move(task, now + seconds * 1000000)
  leased[#leased + 1] = reply(task, before)
end
if #leased > 0 then
  local second = tonumber(clock[1])
  redis.call('HINCRBY', LEASES, whole(second), #leased)
  redis.call('ZADD', SECONDS, second, whole(second))
  -- Each lease forgets a few seconds that are over an hour old, so none ever has to forget many.
  for _, old in ipairs(redis.call('ZRANGEBYSCORE', SECONDS, '-inf', second - 3600, 'LIMIT', 0, 10)) do
    redis.call('HDEL', LEASES, old)
    redis.call('ZREM', SECONDS, old)
  end
end
return leased
