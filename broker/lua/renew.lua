-- renew - prolongs a lease.
--
-- ARGV  1 incarnation  2 lease, ms  3 calls in flight  4 its groups and what blocks them, for
-- people to see
-- Returns {1, server ms, active jobs, ready pairs, batches of which jobs were cancelled since the
-- last renewal or for a lease, up to 1,000, the last ones first}; {-1} the lease is lost.
local inc, now = ARGV[1], now_ms()
if not alive(inc, now) then return {-1} end
local seen = tonumber(call('HGET', P .. 'w:' .. inc, 'seen') or now) or now
call('ZREM', P .. 'leases', inc) -- a ZADD first would be refused over maxmemory
call('ZADD', P .. 'leases', int(now + ARGV[2]), inc)
call('HSET', P .. 'w:' .. inc, 'seen', int(now), 'flight', ARGV[3], 'limits', ARGV[4])
return {1, now, call('HLEN', P .. 'a:' .. inc), claimable(),
  call('ZREVRANGEBYSCORE', P .. 'cancelled', '+inf', int(math.min(seen, now - ARGV[2])),
    'LIMIT', 0, 1000)}
