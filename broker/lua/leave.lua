-- leave - ends a lease whose worker has handed everything back.
--
-- ARGV  1 incarnation
-- Returns {1}; {0, active jobs} when it still holds some: they wait for the reaper.
local inc = ARGV[1]
local n = call('HLEN', P .. 'a:' .. inc)
if n > 0 then return {0, n} end
call('DEL', P .. 'w:' .. inc, P .. 'a:' .. inc)
call('ZREM', P .. 'leases', inc)
return {1}
