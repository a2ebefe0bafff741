-- inbox_put - places one thing taken from the inbox: a job, the end of a batch, or a dead letter.
--
-- ARGV  1 incarnation  2 field  3 kind: 'job', 'seal' or 'dead'  4 batch
--       dead: 5 reason  6 the first of its bytes  7 how many it has
--       else: 5 id, '' for the default  6 PRIORITY/LANE/MODEL  7 user  8 digest of the msgpack
--             9 msgpack map  10 nonce for a new batch  11 keep, s  12 total, of a seal
-- Returns {1} placed; {2} a repeat, dropped; {0} no longer ours; {-1} the lease is lost;
-- {-2} the batch takes no more: it went to the dead letters.
local inc, field, kind, batch = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local now = now_ms()
if not alive(inc, now) then return {-1} end
if call('HDEL', P .. 'a:' .. inc, field) == 0 then return {0} end
local function dead(why, bytes, size)
  call('RPUSH', P .. 'dead', cmsgpack.pack({batch = batch, code = 'bad_request', message = why,
    ts = now, size = size or #bytes}, bytes))
end
if kind == 'dead' then
  dead(ARGV[5], ARGV[6], tonumber(ARGV[7]))
  return {1}
end
local key = P .. 'b:' .. batch
local b = call('HMGET', key, 'hw', 'sealed', 'user', 'paused', 'maxin', 'inbox', 'seal_at', 'run')
if b[1] and not b[6] then
  dead('the batch was submitted by another way', ARGV[9])
  return {-2}
end
if not b[1] then -- the end may come before the jobs, for several workers take from the inbox
  call('HSET', key, 'nonce', ARGV[10], 'digest', 'inbox', 'inbox', '1', 'total', '-1', 'user',
    ARGV[7], 'keep', ARGV[11], 'on_unknown', 'retry', 'options', '\128', 'created', int(now),
    'sealed', '0', 'hw', '0', 'open', '0', 'completed', '0', 'failed', '0', 'cancelled', '0', 'run',
    '1', 'ev', '0', 'cost', '0', 'unknown', '0', 'calls', '0', 'images', '0', 'in_tokens', '0',
    'out_tokens', '0', 'bytes', '0', 'retries', '0', 'orphaned', '0', 'maxin', '1', 'in_bytes', '0')
  call('ZADD', P .. 'batches', int(now), batch)
  emit(batch, {event('submitted', 1, 0, now, '', {total = -1})})
  b = {'0', '0', ARGV[7], false, '1', '1', false, '1'}
end
local index = tonumber(b[1])

if kind == 'seal' then
  local total = tonumber(ARGV[12])
  if b[2] == '1' or b[7] then
    if total == tonumber(b[7] or index) then return {2} end
    dead('the end of the batch was told before, with another total', '')
    return {-2}
  end
  if total < index then
    dead('the batch has ' .. index .. ' jobs already', '')
    return {-2}
  end
  call('HSET', key, 'seal_at', total)
  if index == total then
    call('HSET', key, 'sealed', '1', 'total', total)
    finish_if_done(batch, now)
  end
  return {1}
end

local id = ARGV[5] ~= '' and ARGV[5] or string.format('%08d', index)
if call('HEXISTS', P .. 'ids:' .. batch, id) == 1 then
  emit(batch, {event('step', tonumber(b[8]), 0, now, id, {step = 'duplicate'})})
  return {2}
end
if b[2] == '1' or index >= 16777216 then
  dead('the batch takes no more jobs', ARGV[9])
  return {-2}
end
local input = ARGV[8] .. struct.pack('>I2', #id) .. id .. ARGV[9]
call('HSET', P .. 'ids:' .. batch, id, index)
call('HSET', P .. 'in:' .. batch, index, input)
call('HSET', key, 'hw', index + 1, 'maxin', math.max(tonumber(b[5]), #input))
call('HINCRBY', key, 'open', 1)
add_bytes(batch, #input)
local list = ARGV[6] .. '/' .. batch
call('SADD', P .. 'ls:' .. batch, list)
push(list, b[3], b[4], {struct.pack('>I4I2', index, 1) .. '\0\0\0\0'})
call('RPUSH', P .. 'live', '')
if b[7] and tonumber(b[7]) == index + 1 then
  call('HSET', key, 'sealed', '1', 'total', index + 1)
end
return {1}
