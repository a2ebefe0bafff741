-- calls - reads a piece of the ledger of one day.
--
-- ARGV  1 day, since 1970-01-01 UTC  2 number of the first entry, from 0  3 most, up to 1,000
-- Returns {1, number of the first given, calls that could not be written at all, entries}. It is
-- above the one asked for when older ones have gone; an entry keeps its number.
local day, from, most = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local h = call('HMGET', P .. 'lg', 'gone:' .. day, 'lost')
local gone = tonumber(h[1] or 0)
local first = math.max(from, gone)
local entries = call('LRANGE', P .. 'lg:' .. day, int(first - gone), int(first - gone + most - 1))
return {1, first, tonumber(h[2] or 0), entries}
