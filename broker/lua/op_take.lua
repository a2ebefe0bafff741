-- op_take - takes over an operation that nobody has: its worker died, or has left.
--
-- ARGV  1 incarnation of the worker  2 lease, ms  3.. projects whose keys it has
-- Returns {1, operation, its incarnation, state, name, file, batch, model, project, created, until,
-- made, its jobs}; {1}: there is none; {-1} the lease is lost.
local now = now_ms()
if not alive(ARGV[1], now) then return {-1} end
local mine = {}
for i = 3, #ARGV do mine[ARGV[i]] = true end
for _, op in ipairs(call('ZRANGEBYSCORE', P .. 'ops', 0, 0, 'LIMIT', 0, 100)) do
  local b = call('HMGET', P .. 'bo:' .. op, 'state', 'name', 'file', 'batch', 'model', 'project',
    'created', 'until', 'made', 'jobs', 'inc')
  if not b[11] then -- somebody removed it by hand
    call('ZREM', P .. 'ops', op)
  elseif mine[b[6] or ''] then
    local inc = hand_over(op, 1, now + ARGV[2])
    for i = 1, 10 do b[i] = b[i] or '' end
    return {1, op, inc, unpack(b, 1, 10)}
  end
end
return {1}
