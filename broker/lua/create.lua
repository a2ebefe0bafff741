-- create - makes a batch, or finds the same one again.
--
-- ARGV  1 batch  2 nonce (made by the client, 16 bytes)  3 digest of the options
--       4 declared number of jobs, or -1  5 user  6 seconds to keep it after its end
--       7 what to do with unknown outcomes: 'retry' or 'fail'  8 options as msgpack, opaque
--       9 limit of queued jobs, 0: none  10 bytes of all inputs, as far as known, or 0
--       11 limit of the bytes of the inputs of batches that have not ended, 0: none
--       12 budget, millionths of USD, 0: none  13 the least that one of its calls may cost at worst,
--       0: not known
-- Returns {1, nonce, jobs already in} made or found; {0, digest} another batch has the name;
-- {-2, jobs there are} or {-3, bytes there are} the queue is full. What others have declared within
-- the last minute and not sent yet is counted as there.
local key = P .. 'b:' .. ARGV[1]
local old = call('HMGET', key, 'digest', 'nonce', 'hw')
if old[1] then
  if old[1] ~= ARGV[3] then return {0, old[1]} end
  return {1, old[2], tonumber(old[3])}
end
local now = now_ms()
local function declared()
  local jobs, bytes = 0, 0
  for _, other in ipairs(call('ZREVRANGEBYSCORE', P .. 'batches', '+inf', int(now - 60000), 'LIMIT', 0,
    32)) do
    local b = call('HMGET', P .. 'b:' .. other, 'sealed', 'total', 'hw', 'declared', 'in_bytes')
    if b[1] == '0' then
      jobs = jobs + math.max(0, tonumber(b[2]) - tonumber(b[3]))
      bytes = bytes + math.max(0, tonumber(b[4] or 0) - tonumber(b[5] or 0))
    end
  end
  return jobs, bytes
end
local most_jobs, most_bytes = tonumber(ARGV[9]), tonumber(ARGV[11])
if most_jobs > 0 or most_bytes > 0 then
  local jobs, bytes = declared()
  jobs = jobs + call('LLEN', P .. 'live')
  bytes = bytes + tonumber(call('GET', P .. 'queued') or 0)
  if most_jobs > 0 and jobs + math.max(0, tonumber(ARGV[4])) > most_jobs then return {-2, jobs} end
  if most_bytes > 0 and bytes + tonumber(ARGV[10]) > most_bytes then return {-3, bytes} end
end
call('HSET', key, 'nonce', ARGV[2], 'digest', ARGV[3], 'total', ARGV[4], 'user', ARGV[5],
  'keep', ARGV[6], 'on_unknown', ARGV[7], 'options', ARGV[8], 'created', int(now), 'sealed', '0',
  'hw', '0', 'open', '0', 'completed', '0', 'failed', '0', 'cancelled', '0', 'run', '1', 'ev', '0',
  'cost', '0', 'unknown', '0', 'calls', '0', 'images', '0', 'in_tokens', '0', 'out_tokens', '0',
  'bytes', '0', 'retries', '0', 'orphaned', '0', 'maxin', '1', 'in_bytes', '0', 'declared',
  ARGV[10])
-- What housekeeping has not removed yet of a batch that had the name is not to be removed of this.
call('ZREM', P .. 'expiring', ARGV[1])
unkeep_images(ARGV[1])
if (ARGV[12] or '0') ~= '0' then call('HSET', key, 'budget', ARGV[12]) end
if (ARGV[13] or '0') ~= '0' then call('HSET', key, 'cheapest', ARGV[13]) end
call('ZADD', P .. 'batches', int(now), ARGV[1])
emit(ARGV[1], {event('submitted', 1, 0, now, '', {total = tonumber(ARGV[4])})})
return {1, ARGV[2], 0}
