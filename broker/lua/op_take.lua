-- op_take - takes over an operation that nobody has: its worker died, or has left.
--
-- ARGV  1 incarnation of the worker  2 lease, ms
-- Returns {1, operation, its incarnation, state, name, file, batch, model, created, until, made, its
-- jobs}; {1}: there is none; {-1} the lease is lost.
local now = now_ms()
if not alive(ARGV[1], now) then return {-1} end
local op = call('ZRANGEBYSCORE', P .. 'ops', 0, 0, 'LIMIT', 0, 1)[1]
if not op then return {1} end
local b = call('HMGET', P .. 'bo:' .. op, 'state', 'name', 'file', 'batch', 'model', 'created',
  'until', 'made', 'jobs', 'inc')
if not b[10] then -- somebody removed it by hand
  call('ZREM', P .. 'ops', op)
  return {1}
end
local inc = hand_over(op, 1, now + ARGV[2])
for i = 1, 9 do b[i] = b[i] or '' end
return {1, op, inc, unpack(b, 1, 9)}
