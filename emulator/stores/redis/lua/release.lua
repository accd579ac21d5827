-- ARGV id → the task, due now; or 'unknown', 'damaged'
if damaged() then return 'damaged' end
local task = read(ARGV[1])
if not task then return remains(ARGV[1]) and 'damaged' or 'unknown' end
if redis.call('HEXISTS', PAYLOADS, task.id) == 0 then return 'damaged' end
if task.eta > now then
  move(task, now)
  record_clock()
  notify()
end
return reply(task)
