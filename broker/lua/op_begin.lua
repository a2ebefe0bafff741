-- op_begin - makes jobs that a worker has claimed into an operation: marks them as sent, reserves
-- what they may cost, and puts them under the operation's own incarnation, held by that worker.
-- May be sent twice.
--
-- ARGV  1 incarnation of the worker  2 the operation's id, new  3 lease, ms  4 how long to hope
--       for its end, ms  5 most operations there may be  6 batch  7 model
--       8 project whose keys it is made with  9 day (since 1970-01-01 UTC) of which its user and
--       project have room for it, or 0: it is corrected in the day it was made
--       then, up to 1,000 times, SEQ:SLOT, the worst cost, millionths of USD (-1: not known), and
--       the state it has then, 's' or 'f', see prelude
-- Returns {1, marks, incarnation}: marks as of sent; the k-th job is 1:k under the incarnation,
-- which is empty when none was marked; {0} there are too many operations,
-- or the day is over; {-1} the lease is lost.
local inc, op, now = ARGV[1], ARGV[2], now_ms()
local bo = P .. 'bo:' .. op
local was = call('HMGET', bo, 'marks', 'inc')
if was[1] then return {1, was[1], was[2]} end
if not alive(inc, now) then return {-1} end
if call('ZCARD', P .. 'ops') >= tonumber(ARGV[5]) then return {0} end
if ARGV[9] ~= '0' and tonumber(ARGV[9]) ~= floor(now / DAY) then return {0} end
local key, fields, worst = P .. 'a:' .. inc, {}, {}
for i = 10, #ARGV, 3 do
  fields[#fields + 1] = ARGV[i]
  worst[#worst + 1] = ARGV[i + 1]
end
local e = examine(key, fields, worst)
local marks, mine = table.concat(e.marks), ''
if #e.sent > 0 then
  mine = op .. '.1'
  local active, kept, gone = {}, {}, {}
  for k, i in ipairs(e.sent) do
    active[2 * k - 1], active[2 * k] = '1:' .. i, ARGV[9 + 3 * i] .. string.sub(e.values[i], 2)
    gone[k] = fields[i]
  end
  for k, i in ipairs(e.kept) do kept[2 * k - 1], kept[2 * k] = '1:' .. i, worst[i] end
  local hope = int(now + ARGV[4])
  call('HSET', bo, 'inc', mine, 'epoch', 1, 'state', 'new', 'batch', ARGV[6], 'model', ARGV[7], 'project', ARGV[8],
    'created', int(now), 'until', hope, 'jobs', #fields, 'marks', marks) -- refused over maxmemory
  local w = call('HMGET', P .. 'w:' .. inc, 'endpoint', 'ledger', 'provider')
  call('HSET', P .. 'w:' .. mine, 'seq', '1', 'seqn', #fields, 'op', op, 'project', ARGV[8],
    'endpoint', w[1] or '', 'ledger', w[2] or '0', 'provider', w[3] or '')
  call('HSET', P .. 'a:' .. mine, unpack(active))
  if #kept > 0 then call('HSET', P .. 'rv:' .. mine, unpack(kept)) end
  call('HDEL', key, unpack(gone))
  end_leads(inc, gone, forget_request) -- nobody waits for hours for what others would make now
  call('ZADD', P .. 'leases', int(now + ARGV[3]), mine)
  call('ZADD', P .. 'ops', 1, op)
end
account(e, inc, key, now)
return {1, marks, mine}
