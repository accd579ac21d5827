-- ARGV id → the task; or 'unknown'
local task = read(ARGV[1])
if not task then return 'unknown' end
return reply(task)
