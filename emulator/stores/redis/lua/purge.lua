-- ARGV 'live' or 'dead' or 'all' → the number of deleted tasks and dead letters; or 'damaged', except with 'all'.
-- Redis frees the memory in the background.
if ARGV[1] == 'all' then
  redis.call('UNLINK', unpack(KEYS))
  return tasks + dead
end
if damaged() or miscounted() then return 'damaged' end
local count = 0
if ARGV[1] == 'live' then
  count = tasks
  redis.call('UNLINK', ETA, TAGGED, RECORDS, PAYLOADS)
else
  count = dead
  redis.call('UNLINK', DEAD, DEAD_RECORDS, DEAD_PAYLOADS)
end
redis.call('ZREMRANGEBYSCORE', TOMBS, '-inf', whole(now))
if state[1] then
  if ARGV[1] == 'live' then record(0) else record(tasks, 0) end
end
return count
