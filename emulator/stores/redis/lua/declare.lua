-- ARGV offset of the clock (µs) → 'created', 'declared'; or 'damaged'. The queue's copy of the offset never decreases.
if damaged() then return 'damaged' end
local created = not state[1]
-- After a command that can free memory, Redis permits the next even if memory is exhausted.
redis.call('HDEL', STATE, 'suspect')
if created or tonumber(ARGV[1]) > number(state[1]) then
  redis.call('HSET', STATE, 'offset', ARGV[1], 'tasks', tasks, 'dead', dead)
  notify()
end
return created and 'created' or 'declared'
