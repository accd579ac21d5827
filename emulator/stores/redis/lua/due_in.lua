-- → µs until the next task becomes due, or '' if no ETA is in the future; or 'damaged'
if damaged() then return 'damaged' end
local ahead = redis.call('ZRANGEBYSCORE', ETA, '(' .. whole(now), '+inf', 'WITHSCORES', 'LIMIT', 0, 1)
return ahead[2] and whole(tonumber(ahead[2]) - now) or ''
