-- → µs until the next task falls due by itself, or ''
local ahead = redis.call('ZRANGEBYSCORE', ETA, '(' .. whole(now), '+inf', 'WITHSCORES', 'LIMIT', 0, 1)
return ahead[2] and whole(tonumber(ahead[2]) - now) or ''
