-- ARGV count → the first tasks by ETA
local found = {}
for i, id in ipairs(redis.call('ZRANGE', ETA, 0, tonumber(ARGV[1]) - 1)) do
  local task = read(id)
  found[i] = reply(task, task.leases)
end
return found
