-- budget - sets what a batch may cost; goes on with it, if that had held it back.
--
-- ARGV  1 batch  2 millionths of USD; 0: no limit
-- Returns {1}; {0} no such batch.
local batch, key = ARGV[1], P .. 'b:' .. ARGV[1]
local b = call('HMGET', key, 'nonce', 'user', 'paused')
if not b[1] then return {0} end
if ARGV[2] == '0' then
  call('HDEL', key, 'budget')
else
  call('HSET', key, 'budget', ARGV[2])
end
if b[3] == 'budget' then hold(batch, b[2], nil) end
return {1}
