-- KEYS 1 the key of the store. ARGV version, ID, time if all data was lost or '', '1' if there are queues
--   → the content of the key. If another process was faster, its ID remains.
-- The first command changes nothing, but after a command that can free memory, Redis permits the others even if memory is
-- exhausted.
redis.call('HDEL', KEYS[1], 'unused')
redis.call('HSETNX', KEYS[1], 'version', ARGV[1])
if redis.call('HSETNX', KEYS[1], 'id', ARGV[2]) == 1 and ARGV[3] ~= '' then
  redis.call('HSET', KEYS[1], 'emptied_at', ARGV[3])
end
if ARGV[4] == '1' then redis.call('HSET', KEYS[1], 'declared', '1') end
return redis.call('HGETALL', KEYS[1])
