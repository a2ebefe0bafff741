-- mend - puts right what an audit found of one batch, if nothing has moved since.
--
-- Jobs that are nowhere can be told from jobs that move only while nobody claims any. So the batch
-- is held back under `paused` "fsck", until a time in `held`: whoever mends prolongs it, and when
-- that one is gone a worker's tick lets the batch go on. A batch that somebody else holds back
-- stays that; who pauses or resumes it meanwhile has what he wants. `mending` is the token of who
-- mends, there for as long as nobody has claimed: whatever lets the batch go on removes it.
--
-- ARGV  1 batch  2 what
--       'hold'      3 token, new  4 ms: holds the batch back
--       'places'    3 token  4 ms: prolongs that  5.. pairs of index and PRIORITY/LANE/MODEL: jobs
--                   that are open and nowhere are ready again
--       'release'   3 token: the batch goes on
--       'counters'  3 the last event they were counted at  4, 5, 6 completed, failed, cancelled
--                   7 calls of unknown outcome
-- Returns {1, mended}; {0} the batch is gone, or has moved on.
local batch, what, token = ARGV[1], ARGV[2], ARGV[3]
local key = P .. 'b:' .. batch
local b = call('HMGET', key, 'nonce', 'run', 'paused', 'user', 'ev', 'hw', 'mending')
if not b[1] then return {0} end

local function hold_back()
  if not b[3] then hold(batch, b[4], 'fsck') end
  call('HSET', key, 'mending', token)
  if not b[3] or b[3] == 'fsck' then
    call('ZADD', P .. 'held', int(now_ms() + ARGV[4]), batch)
  end
  return {1, 0}
end

local function release()
  call('HDEL', key, 'mending')
  if b[3] == 'fsck' then
    call('ZREM', P .. 'held', batch)
    hold(batch, b[4], nil)
  end
  return {1, 0}
end

local function counters()
  local open = tonumber(b[6]) - ARGV[4] - ARGV[5] - ARGV[6]
  call('HSET', key, 'completed', ARGV[4], 'failed', ARGV[5], 'cancelled', ARGV[6], 'open', int(open),
    'unknown', ARGV[7])
  return {1, 1}
end

local function places()
  local indexes = {}
  for i = 5, #ARGV, 2 do indexes[#indexes + 1] = tonumber(ARGV[i]) end
  if b[3] == 'fsck' then call('ZADD', P .. 'held', int(now_ms() + ARGV[4]), batch) end
  if #indexes == 0 then return {1, 0} end
  local state = states(batch, indexes)
  local runs = call('HMGET', P .. 'rn:' .. batch, unpack(indexes))
  local n = 0
  for k, index in ipairs(indexes) do
    if state[k] == 0 and index < tonumber(b[6]) then
      local list = ARGV[2 * k + 4] .. '/' .. batch
      call('SADD', P .. 'ls:' .. batch, list)
      push(list, b[4], b[3], {struct.pack('>I4I2', index, tonumber(runs[k] or 1)) .. '\0\0\0\0'})
      n = n + 1
    end
  end
  return {1, n}
end

if what == 'hold' then return hold_back() end
if what == 'counters' then return b[5] == token and counters() or {0} end
if not b[3] or b[7] ~= token then return {0} end
return what == 'places' and places() or release()
