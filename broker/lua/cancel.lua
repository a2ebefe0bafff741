-- cancel - cancels a batch, or single jobs of it, a bounded number a call. Call again until
-- nothing is left; workers' ticks go on with a batch whose client went away.
--
-- ARGV  1 batch  2 most jobs to end in this call, up to 500  3.. indexes; none: all of it
-- Returns {1, cancelled now, 1 when more is left to do}; {0} no such batch.
local batch, now = ARGV[1], now_ms()
local key = P .. 'b:' .. batch
local b = call('HMGET', key, 'nonce', 'open', 'sealed', 'cancel')
if not b[1] then return {0} end
if #ARGV > 2 then
  local indexes = {}
  for i = 3, #ARGV do indexes[#indexes + 1] = tonumber(ARGV[i]) end
  local n = cancel_jobs(batch, indexes, now)
  if n > 0 then
    finish_if_done(batch, now)
    hold_aside(batch, now)
  end
  return {1, n, 0}
end
if b[2] == '0' and b[3] == '1' and not b[4] then return {1, 0, 0} end
if not b[4] then
  call('HDEL', key, 'done_at') -- a removal first
  call('HSET', key, 'cancel', '0', 'sealed', '1', 'total', call('HGET', key, 'hw'))
  call('ZADD', P .. 'cancelling', int(now), batch)
end
local n = cancel_some(batch, tonumber(ARGV[2]), now)
return {1, n, call('HEXISTS', key, 'cancel')}
