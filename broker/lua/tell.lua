-- tell - an event of a batch that is of none of its jobs: that a worker cannot store images, or
-- can again. Sent twice it may stand there twice.
--
-- ARGV  1 batch  2 its nonce  3 the event, encoded
-- Returns {1}; {0} there is no such batch, or it has ended.
local batch = ARGV[1]
local b = call('HMGET', P .. 'b:' .. batch, 'nonce', 'done_at')
if not b[1] or b[1] ~= ARGV[2] or b[2] then return {0} end
emit(batch, {ARGV[3]})
return {1}
