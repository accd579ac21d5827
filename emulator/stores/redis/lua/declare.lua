-- ARGV offset of the clock (µs) → 'declared'. The queue's copy of the offset never decreases.
if not state[1] or tonumber(ARGV[1]) > tonumber(state[1]) then
  redis.call('HSET', STATE, 'offset', ARGV[1])
  notify()
end
return 'declared'
