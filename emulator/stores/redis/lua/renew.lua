-- ARGV id, end of the lease or '', seconds → the task; or 'unknown', 'expired', 'conflict', 'damaged'
if damaged() then return 'damaged' end
local task = read(ARGV[1])
if not task then return remains(ARGV[1]) and 'damaged' or 'unknown' end
if redis.call('HEXISTS', PAYLOADS, task.id) == 0 then return 'damaged' end
if ARGV[2] ~= '' and tonumber(ARGV[2]) ~= task.eta then return 'conflict' end
if task.eta <= now then return 'expired' end
move(task, now + tonumber(ARGV[3]) * 1000000)
record_clock()
if ARGV[3] == '0' then notify() end
return reply(task)
