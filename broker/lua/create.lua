-- create - makes a batch, or finds the same one again.
--
-- ARGV  1 batch  2 nonce (made by the client, 16 bytes)  3 digest of the options
--       4 declared number of jobs, or -1  5 user  6 seconds to keep it after its end
--       7 what to do with unknown outcomes: 'retry' or 'fail'  8 options as msgpack, opaque
--       9 limit of queued jobs, 0: none
-- Returns {1, nonce, jobs already in} made or found; {0, digest} another batch has the name;
-- {-2, live} the queue is full.
local key = P .. 'b:' .. ARGV[1]
local old = call('HMGET', key, 'digest', 'nonce', 'hw')
if old[1] then
  if old[1] ~= ARGV[3] then return {0, old[1]} end
  return {1, old[2], tonumber(old[3])}
end
local limit = tonumber(ARGV[9])
local live = call('LLEN', P .. 'live')
if limit > 0 and live + math.max(0, tonumber(ARGV[4])) > limit then return {-2, live} end
local now = now_ms()
call('HSET', key, 'nonce', ARGV[2], 'digest', ARGV[3], 'total', ARGV[4], 'user', ARGV[5],
  'keep', ARGV[6], 'on_unknown', ARGV[7], 'options', ARGV[8], 'created', int(now), 'sealed', '0',
  'hw', '0', 'open', '0', 'completed', '0', 'failed', '0', 'cancelled', '0', 'run', '1', 'ev', '0',
  'cost', '0', 'unknown', '0', 'calls', '0', 'images', '0', 'in_tokens', '0', 'out_tokens', '0',
  'bytes', '0', 'retries', '0', 'orphaned', '0', 'maxin', '1')
call('ZADD', P .. 'batches', int(now), ARGV[1])
emit(ARGV[1], {event('submitted', 1, 0, now, '', {total = tonumber(ARGV[4])})})
return {1, ARGV[2], 0}
