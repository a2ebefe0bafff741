-- op_note - writes down how far an operation is, before the next step or after the last.
--
-- ARGV  1 incarnation of the operation  2 the operation  then pairs of field and value: state (new,
--       nothing was made of it; making, it may have been; running), file, name; made '': now
-- Returns {1, server ms}; {-1} the lease is lost.
local inc, op, now = ARGV[1], ARGV[2], now_ms()
local key = P .. 'bo:' .. op
if not alive(inc, now) or call('HGET', key, 'inc') ~= inc then return {-1} end
local args = {}
for i = 3, #ARGV, 2 do
  args[#args + 1] = ARGV[i]
  args[#args + 1] = ARGV[i] == 'made' and int(now) or ARGV[i + 1]
end
call('HSET', key, unpack(args))
return {1, now}
