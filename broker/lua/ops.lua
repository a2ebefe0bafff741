-- ops.lua - remote batches ("operations"): many jobs in one call that takes hours; shared by the
-- scripts about them and by tick.
--
-- The jobs of an operation are active under an incarnation of its own, OP.EPOCH, with a lease as
-- a worker's; so they are settled, cancelled and audited as any others. bo:OP says what the
-- operation is and under which incarnation its jobs are now. Whoever takes it over gets a fresh
-- epoch: one rename voids everything that was held before. While nobody has it its score in `ops`
-- is 0 and the lease lasts until nothing can be hoped for any more; then the jobs are lost ones.

-- Gives an operation's jobs to a fresh epoch whose lease ends at `ends`. owner: 1 someone, 0 nobody.
local function hand_over(op, owner, ends)
  local key = P .. 'bo:' .. op
  local b = call('HMGET', key, 'inc', 'epoch', 'jobs')
  local old, epoch = b[1], tonumber(b[2]) + 1
  local inc = op .. '.' .. epoch
  call('ZREM', P .. 'leases', old) -- a removal first
  for _, kind in ipairs({'a:', 'rv:'}) do
    if call('EXISTS', P .. kind .. old) == 1 then call('RENAME', P .. kind .. old, P .. kind .. inc) end
  end
  local w = call('HMGET', P .. 'w:' .. old, 'project', 'endpoint', 'ledger', 'provider')
  call('DEL', P .. 'w:' .. old)
  call('HSET', P .. 'w:' .. inc, 'seq', '1', 'seqn', b[3], 'op', op, 'project', w[1] or '',
    'endpoint', w[2] or '', 'ledger', w[3] or '0', 'provider', w[4] or '')
  call('HSET', key, 'inc', inc, 'epoch', epoch)
  call('ZADD', P .. 'leases', int(ends), inc)
  call('ZADD', P .. 'ops', owner, op)
  return inc
end

-- Nobody has the operation from now on.
local function set_free(op)
  return hand_over(op, 0, call('HGET', P .. 'bo:' .. op, 'until'))
end

local function forget(op, inc)
  call('DEL', P .. 'bo:' .. op, P .. 'w:' .. inc, P .. 'rv:' .. inc)
  call('ZREM', P .. 'ops', op)
  call('ZREM', P .. 'leases', inc)
end

