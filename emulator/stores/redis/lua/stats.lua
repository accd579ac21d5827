-- → tasks, earliest ETA or '', leases in the last minute, leases in the last hour, dead letters, '1' if paused; or 'damaged'
if damaged() or miscounted() then return 'damaged' end
local oldest = redis.call('ZRANGE', ETA, 0, 0, 'WITHSCORES')
local second, minute, hour = math.floor(now / 1000000), 0, 0
for _, past in ipairs(redis.call('ZRANGEBYSCORE', LEASED, '(' .. (second - 3600), '+inf')) do
  local at, leased = string.match(past, '^(%d+)|(%d+)$')
  hour = hour + tonumber(leased)
  if tonumber(at) > second - 60 then minute = minute + tonumber(leased) end
end
return { tasks, oldest[2] and whole(tonumber(oldest[2])) or '', minute, hour, dead, state[2] or '' }
