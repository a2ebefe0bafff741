-- seal - says that a batch is whole. May be sent twice.
--
-- ARGV  1 batch  2 number of jobs
-- Returns {1} sealed; {0} no such batch; {-1, jobs in} another number is in.
local key = P .. 'b:' .. ARGV[1]
local b = call('HMGET', key, 'hw', 'sealed')
if not b[1] then return {0} end
if b[1] ~= ARGV[2] then return {-1, tonumber(b[1])} end
if b[2] == '1' then return {1} end
call('HSET', key, 'sealed', '1', 'total', ARGV[2])
finish_if_done(ARGV[1], now_ms())
hold_aside(ARGV[1], now_ms())
return {1}
