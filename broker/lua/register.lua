-- register - makes the lease of a fresh incarnation; nothing else makes one.
--
-- ARGV  1 incarnation  2 lease, ms  then pairs of field, value that describe the worker
-- Returns {1, server ms}; {0} when the incarnation was there before.
local inc, now = ARGV[1], now_ms()
local key = P .. 'w:' .. inc
if call('EXISTS', key) == 1 then
  return {call('ZSCORE', P .. 'leases', inc) and call('HGET', key, 'seq') == '0' and 1 or 0, now}
end
call('HSET', key, 'seq', '0', 'seqn', '0', 'since', int(now), unpack(ARGV, 3))
call('ZADD', P .. 'leases', int(now + ARGV[2]), inc)
call('HSETNX', KEYS[1], 'last_tick', int(now)) -- the first of all: a gap after it shows, too
return {1, now}
