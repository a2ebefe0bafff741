-- retry - opens ended jobs again, for another run of them.
--
-- ARGV  1 batch  2 run of these jobs, above the batch's last or equal to go on with one
--       3 1 when this is the last call of this retry  4 jobs reopened by it before
--       then pairs: index, PRIORITY/LANE/MODEL; up to 400
-- Returns {1, reopened now, the batch's run}; {0} no such batch; {-1, run} not the next run.
local batch, run, now = ARGV[1], tonumber(ARGV[2]), now_ms()
local key = P .. 'b:' .. batch
local b = call('HMGET', key, 'run', 'user', 'paused', 'cancel')
if not b[1] then return {0} end
if b[4] or (run ~= tonumber(b[1]) and run ~= tonumber(b[1]) + 1) then
  return {-1, tonumber(b[1])}
end
local indexes, lists = {}, {}
for i = 5, #ARGV, 2 do
  indexes[#indexes + 1] = tonumber(ARGV[i])
  lists[#lists + 1] = ARGV[i + 1] .. '/' .. batch
end
local state = #indexes > 0 and states(batch, indexes) or {}
local bits, count, ready, n = {}, {0, 0, 0}, {}, 0
for i, index in ipairs(indexes) do
  if state[i] ~= 0 then
    n = n + 1
    count[state[i]] = count[state[i]] + 1
    bits[#bits + 1] = 'SET'
    bits[#bits + 1] = 'u2'
    bits[#bits + 1] = '#' .. index
    bits[#bits + 1] = 0
    local l = ready[lists[i]] or {}
    ready[lists[i]] = l
    l[#l + 1] = struct.pack('>I4I2', index, run) .. '\0\0\0\0'
  end
end
if n > 0 then
  call('ZREM', P .. 'expiring', batch)
  for _, k in ipairs(KEYS_OF_BATCH) do call('PERSIST', P .. k .. batch) end
  call('BITFIELD', P .. 'st:' .. batch, unpack(bits))
  call('HDEL', key, 'done_at')
  call('HSET', key, 'run', run)
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
end
return {1, n, n > 0 and run or tonumber(b[1])}
