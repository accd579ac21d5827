-- KEYS 1 the list of the queues. ARGV names of queues → the number of new ones.
-- The first command changes nothing, but after a command that can free memory, Redis permits the next even if memory is
-- exhausted.
redis.call('SREM', KEYS[1], '')
return redis.call('SADD', KEYS[1], unpack(ARGV))
