-- ARGV 'live' or 'dead' or 'all' → the number of deleted tasks and dead letters. Redis frees the memory in the background.
local count = 0
if ARGV[1] == 'live' or ARGV[1] == 'all' then
  count = redis.call('ZCARD', ETA)
  redis.call('UNLINK', ETA, TAGGED, RECORDS, PAYLOADS)
end
if ARGV[1] == 'dead' or ARGV[1] == 'all' then
  count = count + redis.call('ZCARD', DEAD)
  redis.call('UNLINK', DEAD, DEAD_RECORDS, DEAD_PAYLOADS)
end
if ARGV[1] == 'all' then redis.call('UNLINK', STATE, TOMBS, LEASED) end
return count
