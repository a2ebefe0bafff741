-- workers - the leases there are, for people to see.
--
-- Returns {{incarnation, end of the lease, host, pid, concurrency, flight, version, sink, since,
-- limits, projects}, ...}, up to 1,000, the ones that end last first; unknown facts are nil. Those of operations are
-- left out.
local out = {}
local leases = call('ZREVRANGE', P .. 'leases', 0, 999, 'WITHSCORES')
for i = 1, #leases, 2 do
  local f = call('HMGET', P .. 'w:' .. leases[i], 'host', 'pid', 'concurrency', 'flight', 'version',
    'sink', 'since', 'limits', 'projects', 'op')
  if not f[10] then out[#out + 1] = {leases[i], leases[i + 1], unpack(f, 1, 9)} end
end
return out
