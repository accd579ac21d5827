-- ARGV count → the first dead letters by the end of their last lease
local found = {}
for i, id in ipairs(redis.call('ZRANGE', DEAD, 0, tonumber(ARGV[1]) - 1)) do
  found[i] = reply(read(id, DEAD_RECORDS), nil, DEAD_PAYLOADS)
end
return found
