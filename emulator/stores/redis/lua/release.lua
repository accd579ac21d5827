-- ARGV id → the task, due now; or 'unknown'
local task = read(ARGV[1])
if not task then return 'unknown' end
if task.eta > now then
  move(task, now)
  notify()
end
return reply(task)
