-- blob_push - adds a chunk to an image on its way. What is never kept goes by itself: in one
-- script, so that no lost connection leaves chunks without an end.
--
-- ARGV  1 temporary key, without the prefix  2 bytes  3 its life, s
-- Returns {1, chunks so far}.
local key = P .. 'o:' .. ARGV[1]
local n = call('RPUSH', key, ARGV[2]) -- first: refused over maxmemory
call('EXPIRE', key, ARGV[3])
return {1, n}
