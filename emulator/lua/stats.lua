-- → tasks, earliest ETA or '', leases in the last minute, leases in the last hour
local oldest = redis.call('ZRANGE', ETA, 0, 0, 'WITHSCORES')
local second, minute, hour = tonumber(clock[1]), 0, 0
for _, past in ipairs(redis.call('ZRANGEBYSCORE', SECONDS, '(' .. (second - 3600), '+inf')) do
  local leased = tonumber(redis.call('HGET', LEASES, past))
  hour = hour + leased
  if tonumber(past) > second - 60 then minute = minute + leased end
end
return { redis.call('ZCARD', ETA), oldest[2] and whole(tonumber(oldest[2])) or '', minute, hour }
