-- pause - stops or goes on with the claiming of a batch, or of the whole queue.
--
-- ARGV  1 batch, '' for the queue  2 '1' pause, '0' resume
-- Returns {1}; {0} no such batch.
local batch, on = ARGV[1], ARGV[2] == '1'
if batch == '' then
  if on then call('HSET', KEYS[1], 'paused', '1') else call('HDEL', KEYS[1], 'paused') end
  if not on then wake(16) end
  return {1}
end
local key = P .. 'b:' .. batch
local b = call('HMGET', key, 'nonce', 'user', 'paused')
if not b[1] then return {0} end
if on and (b[3] == 'account' or b[3] == 'fsck' or b[3] == 'budget') then -- would go on without us
  call('HSET', key, 'paused', '1')
  return {1}
end
if (b[3] ~= false) == on then return {1} end
hold(batch, b[2], on and '1' or nil)
if not on then recall(batch, b[2], nil) end -- they are held against the budget again
if not on then call('HDEL', key, 'blocked_by') end -- by held.lua: it is told again if it is still so
return {1}
