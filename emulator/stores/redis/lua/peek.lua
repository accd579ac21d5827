-- ARGV count, ETA and ID of the last task of the previous page or '' → the next tasks by ETA; or 'damaged'
if damaged() then return 'damaged' end
local count, eta, id = tonumber(ARGV[1]), ARGV[2], ARGV[3]
local ids
if eta == '' then
  ids = redis.call('ZRANGE', ETA, 0, count - 1)
elseif redis.call('ZSCORE', ETA, id) and whole(tonumber(redis.call('ZSCORE', ETA, id))) == eta then
  local rank = redis.call('ZRANK', ETA, id)
  ids = redis.call('ZRANGE', ETA, rank + 1, rank + count)
else
  -- That task was moved or deleted. Tasks with the same ETA are ordered by ID, like members with the same score.
  ids = {}
  for _, found in ipairs(redis.call('ZRANGEBYSCORE', ETA, eta, eta)) do
    if found > id and #ids < count then ids[#ids + 1] = found end
  end
  for _, found in ipairs(redis.call('ZRANGEBYSCORE', ETA, '(' .. eta, '+inf', 'LIMIT', 0, count - #ids)) do
    ids[#ids + 1] = found
  end
end
for i, found in ipairs(ids) do
  local task = read(found)
  ids[i] = task and reply(task)
  if not ids[i] then return 'damaged' end
end
return ids
