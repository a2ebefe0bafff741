-- budget - sets what a batch may cost; goes on with it, if that had held it back, and with jobs that
-- did not fit, some at a time: call again until there are none. May be sent twice.
--
-- ARGV  1 batch  2 millionths of USD; 0: no limit
-- Returns {1, jobs that go on}; {0} no such batch.
local batch, key = ARGV[1], P .. 'b:' .. ARGV[1]
local b = call('HMGET', key, 'nonce', 'user', 'paused')
if not b[1] then return {0} end
if ARGV[2] == '0' then
  call('HDEL', key, 'budget')
else
  call('HSET', key, 'budget', ARGV[2])
end
local held = b[3] == 'budget'
if held then hold(batch, b[2], nil) end
return {1, recall(batch, b[2], not held and b[3] or nil)}
