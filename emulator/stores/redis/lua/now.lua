-- KEYS 1 the offset of the clock (µs) → second, microsecond and offset.
local clock = redis.call('TIME')
return {clock[1], clock[2], redis.call('GET', KEYS[1]) or '0'}
