-- void - ends leases of workers that are known to be dead, by who has seen that they run no more:
-- their jobs are taken back by the next tick, whatever else holds it up (see tick.lua).
--
-- ARGV  1.. incarnations, up to 1,000
-- Returns {1, leases that were ended}.
local n = 0
for _, inc in ipairs(ARGV) do
  if call('ZREM', P .. 'leases', inc) == 1 then -- a removal first: allowed over maxmemory
    call('ZADD', P .. 'leases', 0, inc)
    n = n + 1
  end
end
return {1, n}
