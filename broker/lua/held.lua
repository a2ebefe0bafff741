-- held - a batch has no room left in what its user or project may use: holds it back, so that nobody
-- claims of it in vain. It is tried again after a minute, or at the end of the period, or when
-- somebody raises the limit.
--
-- ARGV  1 'hold'  2 batch  3 its nonce  4 account  5 the limit, as "usd/month"  6 end of the period,
--       ms  7 the event, encoded. Returns {1, 1 held now, 0 it was}; {0} no such batch
-- or    1 'free'  2 account. Returns {1, batches that go on}
local now = now_ms()
if ARGV[1] == 'free' then
  local n = 0
  for _, batch in ipairs(call('ZRANGE', P .. 'held', 0, 999)) do
    local key = P .. 'b:' .. batch
    local b = call('HMGET', key, 'paused', 'user', 'blocked_by', 'run')
    if b[1] == 'account' and string.sub(b[3] or '', 1, #ARGV[2] + 1) == ARGV[2] .. ' ' then
      call('ZREM', P .. 'held', batch)
      hold(batch, b[2], nil)
      call('HDEL', key, 'blocked_by')
      emit(batch, {event('unblocked', tonumber(b[4]), 0, now, '', {group = ARGV[2]})})
      n = n + 1
    end
  end
  return {1, n}
end
local batch, why = ARGV[2], ARGV[4] .. ' ' .. ARGV[5]
local key = P .. 'b:' .. batch
local b = call('HMGET', key, 'nonce', 'user', 'paused', 'done_at', 'blocked_by')
if not b[1] or b[1] ~= ARGV[3] or b[4] then return {0} end
if b[3] then return {1, 0} end
hold(batch, b[2], 'account')
call('ZADD', P .. 'held', int(math.min(tonumber(ARGV[6]), now + 60000)), batch)
if b[5] ~= why then
  call('HSET', key, 'blocked_by', why)
  emit(batch, {ARGV[7]})
end
return {1, 1}
