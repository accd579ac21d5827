-- ARGV id → the task; or 'unknown', 'damaged'
if damaged() then return 'damaged' end
local task = read(ARGV[1])
if not task then return remains(ARGV[1]) and 'damaged' or 'unknown' end
return reply(task) or 'damaged'
