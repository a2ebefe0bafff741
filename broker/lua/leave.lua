-- leave - ends a lease whose worker has handed everything back.
--
-- ARGV  1 incarnation
-- Returns {1}; {0, active jobs} when it still holds some, or they are being taken back from it: the
-- reaper needs its lease to find them.
local inc = ARGV[1]
local n = call('HLEN', P .. 'a:' .. inc) + call('HLEN', P .. 'x:' .. inc)
if n > 0 then return {0, n} end
call('DEL', P .. 'w:' .. inc, P .. 'a:' .. inc, P .. 'rv:' .. inc, P .. 'dl:' .. inc)
call('ZREM', P .. 'leases', inc)
return {1}
