-- op_end - an operation is over, or its worker leaves it to others.
--
-- ARGV  1 incarnation of the operation  2 the operation  3 'end', 'free'
-- Returns {1, jobs it still has}: with 'end' it is forgotten only when it has none; {-1} the lease
-- is lost.
local inc, op = ARGV[1], ARGV[2]
if not alive(inc, now_ms()) or call('HGET', P .. 'bo:' .. op, 'inc') ~= inc then return {-1} end
local n = call('HLEN', P .. 'a:' .. inc)
if n == 0 then
  forget(op, inc)
elseif ARGV[3] == 'free' then
  set_free(op)
end
return {1, n}
