-- ARGV '1' to pause, '' to resume → 'done'; or 'undeclared', 'damaged'
if damaged() then return 'damaged' end
if not state[1] then return 'undeclared' end
if ARGV[1] == '1' then
  redis.call('HDEL', STATE, 'suspect') -- so that Redis permits the next command even if memory is exhausted
  redis.call('HSET', STATE, 'paused', '1')
else
  redis.call('HDEL', STATE, 'paused')
  notify()
end
return 'done'
