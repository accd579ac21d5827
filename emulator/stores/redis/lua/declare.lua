-- ARGV µs that the clock was moved ahead → 'declared'; the queue's own copy of it never goes back
if not state[1] or tonumber(ARGV[1]) > tonumber(state[1]) then
  redis.call('HSET', STATE, 'offset', ARGV[1])
  tell()
end
return 'declared'
