-- ARGV count → the first dead letters by the end of their last lease; or 'damaged'
if damaged() then return 'damaged' end
local found = {}
for i, id in ipairs(redis.call('ZRANGE', DEAD, 0, tonumber(ARGV[1]) - 1)) do
  local task = read(id, DEAD_RECORDS)
  found[i] = task and reply(task, nil, DEAD_PAYLOADS)
  if not found[i] then return 'damaged' end
end
return found
