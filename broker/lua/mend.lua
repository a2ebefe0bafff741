-- mend - puts right what an audit found of one batch, if nothing has moved since.
--
-- ARGV  1 batch  2 what
--       'places'    3.. pairs of index and PRIORITY/LANE/MODEL: jobs that are open and nowhere
--                   are ready again; the batch must be paused, so that nothing moved meanwhile
--       'counters'  3 the last event they were counted at  4, 5, 6 completed, failed, cancelled
-- Returns {1, mended}; {0} the batch is gone, or has moved on.
local batch, what = ARGV[1], ARGV[2]
local key = P .. 'b:' .. batch
local b = call('HMGET', key, 'nonce', 'run', 'paused', 'user', 'ev', 'hw')
if not b[1] then return {0} end
if what == 'counters' then
  if b[5] ~= ARGV[3] then return {0} end
  local open = tonumber(b[6]) - ARGV[4] - ARGV[5] - ARGV[6]
  call('HSET', key, 'completed', ARGV[4], 'failed', ARGV[5], 'cancelled', ARGV[6], 'open', int(open))
  return {1, 1}
end
if not b[3] then return {0} end
local indexes = {}
for i = 3, #ARGV, 2 do indexes[#indexes + 1] = tonumber(ARGV[i]) end
local state = states(batch, indexes)
local runs = call('HMGET', P .. 'rn:' .. batch, unpack(indexes))
local n = 0
for k, index in ipairs(indexes) do
  if state[k] == 0 and index < tonumber(b[6]) then
    local list = ARGV[2 * k + 2] .. '/' .. batch
    call('SADD', P .. 'ls:' .. batch, list)
    push(list, b[4], b[3], {struct.pack('>I4I2', index, tonumber(runs[k] or 1)) .. '\0\0\0\0'})
    n = n + 1
  end
end
return {1, n}
