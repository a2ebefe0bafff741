-- retry - opens ended jobs again, for another run of them. May be sent twice: jobs come in
-- rising order, and within one run none at or below the last is opened again.
--
-- ARGV  1 batch  2 run of these jobs: the batch's last, to go on with it, or the next
--       then pairs: index, PRIORITY/LANE/MODEL; up to 400, rising over all calls of one run
-- Returns {1, reopened now, the batch's run}; {0} no such batch; {-1, run} not the next run.
local batch, run, now = ARGV[1], tonumber(ARGV[2]), now_ms()
local key = P .. 'b:' .. batch
local b = call('HMGET', key, 'run', 'user', 'paused', 'cancel', 'reopened', 'done_at',
  'in_bytes')
if not b[1] then return {0} end
local is = tonumber(b[1])
if b[4] or not (run == is + 1 or (run == is and b[5])) then return {-1, is} end
local from = run == is and tonumber(b[5]) or 0
local indexes, lists = {}, {}
for i = 3, #ARGV, 2 do
  if tonumber(ARGV[i]) >= from then
    indexes[#indexes + 1] = tonumber(ARGV[i])
    lists[#lists + 1] = ARGV[i + 1] .. '/' .. batch
  end
end
local state = #indexes > 0 and states(batch, indexes) or {}
local opened, to, count, ready, runs, n, last = {}, {}, {0, 0, 0}, {}, {}, 0, from
for i, index in ipairs(indexes) do
  if state[i] ~= 0 and index >= last then
    n = n + 1
    last = index + 1
    count[state[i]] = count[state[i]] + 1
    opened[n], to[n] = index, 0
    runs[#runs + 1] = index
    runs[#runs + 1] = run
    local l = ready[lists[i]] or {}
    ready[lists[i]] = l
    l[#l + 1] = struct.pack('>I4I2', index, run) .. '\0\0\0\0'
  end
end
if n == 0 then return {1, 0, is} end
call('ZREM', P .. 'expiring', batch)
unkeep_images(batch)
for _, k in ipairs(KEYS_OF_BATCH) do call('PERSIST', P .. k .. batch) end
call('HDEL', key, 'done_at', 'reopened') -- removals first: this works when memory is full
set_states(batch, opened, to)
if b[6] then call('INCRBY', P .. 'queued', b[7] or 0) end
call('HSET', P .. 'rn:' .. batch, unpack(runs))
call('HSET', key, 'run', run, 'reopened', last, 'reopened_at', int(now))
for s, name in ipairs({'completed', 'failed', 'cancelled'}) do
  if count[s] > 0 then call('HINCRBY', key, name, -count[s]) end
end
call('HINCRBY', key, 'open', n)
emit(batch, {event('reopened', run, 0, now, '', {jobs = n})})
for list, tickets in pairs(ready) do
  call('SADD', P .. 'ls:' .. batch, list)
  push(list, b[2], b[3], tickets)
end
local ones = {}
for i = 1, n do ones[i] = '' end
call('RPUSH', P .. 'live', unpack(ones))
return {1, n, run}
