-- renew - prolongs a lease.
--
-- ARGV  1 incarnation  2 lease, ms  3 calls in flight  4 its groups and what blocks them, for
-- people to see
-- Returns {1, server ms, active jobs, ready pairs, batches of which jobs were cancelled since the
-- last renewal, up to 1,000}; {-1} the lease is lost.
local inc, now = ARGV[1], now_ms()
if not alive(inc, now) then return {-1} end
call('ZREM', P .. 'leases', inc) -- a ZADD first would be refused over maxmemory
call('ZADD', P .. 'leases', int(now + ARGV[2]), inc)
call('HSET', P .. 'w:' .. inc, 'seen', int(now), 'flight', ARGV[3], 'limits', ARGV[4])
return {1, now, call('HLEN', P .. 'a:' .. inc), claimable(),
  call('ZRANGEBYSCORE', P .. 'cancelled', int(now - ARGV[2]), '+inf', 'LIMIT', 0, 1000)}
