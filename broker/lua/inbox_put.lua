-- inbox_put - places one thing taken from the inbox: a job, the end of a batch, or a dead letter.
--
-- ARGV  1 incarnation  2 field  3 kind: 'job', 'seal' or 'dead'  4 batch
--       job: 5 id, '' for the default  6 PRIORITY/LANE/MODEL  7 user  8 digest of the msgpack
--            9 msgpack map  10 nonce for a new batch  11 keep, s
--       seal: 5 total    dead: 5 reason  6 bytes
-- Returns {1, index} placed; {2} a repeat, dropped; {0} no longer ours; {-1} the lease is lost;
-- {-2} the batch is sealed or cancelled: it went to the dead letters.
local inc, field, kind, batch = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local now = now_ms()
if not alive(inc, now) then return {-1} end
if call('HDEL', P .. 'a:' .. inc, field) == 0 then return {0} end
local function dead(why, bytes)
  call('RPUSH', P .. 'dead', cmsgpack.pack({batch = batch, code = 'bad_request', message = why,
    ts = now, input = bytes}))
end
if kind == 'dead' then
  dead(ARGV[5], ARGV[6])
  return {1, 0}
end
local key = P .. 'b:' .. batch
local b = call('HMGET', key, 'hw', 'sealed', 'user', 'paused', 'maxin', 'inbox')
if kind == 'seal' then
  if not b[1] then
    dead('the end of a batch that nothing was pushed for', '')
    return {-2}
  end
  call('HSET', key, 'seal_at', ARGV[5])
  if b[1] == ARGV[5] then
    call('HSET', key, 'sealed', '1', 'total', ARGV[5])
    finish_if_done(batch, now)
  end
  return {1, 0}
end
if b[1] and (b[2] == '1' or not b[6]) then
  dead('the batch takes no more jobs', ARGV[9])
  return {-2}
end
if not b[1] then
  call('HSET', key, 'nonce', ARGV[10], 'digest', 'inbox', 'inbox', '1', 'total', '-1', 'user',
    ARGV[7], 'keep', ARGV[11], 'on_unknown', 'retry', 'options', '\128', 'created', int(now),
    'sealed', '0', 'hw', '0', 'open', '0', 'completed', '0', 'failed', '0', 'cancelled', '0', 'run',
    '1', 'ev', '0', 'cost', '0', 'unknown', '0', 'calls', '0', 'images', '0', 'in_tokens', '0',
    'out_tokens', '0', 'bytes', '0', 'retries', '0', 'orphaned', '0', 'maxin', '1')
  call('ZADD', P .. 'batches', int(now), batch)
  emit(batch, {event('submitted', 1, 0, now, '', {total = -1})})
  b = {'0', '0', ARGV[7], false, '1'}
end
local index = tonumber(b[1])
local id = ARGV[5] ~= '' and ARGV[5] or string.format('%08d', index)
if call('HSETNX', P .. 'ids:' .. batch, id, index) == 0 then
  emit(batch, {event('step', 1, 0, now, id, {step = 'duplicate'})})
  return {2}
end
local input = ARGV[8] .. struct.pack('>I2', #id) .. id .. ARGV[9]
call('HSET', P .. 'in:' .. batch, index, input)
call('HSET', key, 'hw', index + 1, 'maxin', math.max(tonumber(b[5]), #input))
call('HINCRBY', key, 'open', 1)
local list = ARGV[6] .. '/' .. batch
call('SADD', P .. 'ls:' .. batch, list)
push(list, b[3], b[4], {struct.pack('>I4I2', index, 1) .. '\0\0\0\0'})
call('RPUSH', P .. 'live', '')
if call('HGET', key, 'seal_at') == tostring(index + 1) then
  call('HSET', key, 'sealed', '1', 'total', index + 1)
end
return {1, index}
