-- blob_copy - copies an image that is kept to a temporary key, on its way to be another job's.
--
-- ARGV  1 name of the image (BATCH/INDEX/M)  2 temporary key, without the prefix  3 its life, s
-- Returns {1, chunks}; {0} it is not there.
local from, to = P .. 'o:' .. ARGV[1], P .. 'o:' .. ARGV[2]
local n = call('LLEN', from)
if n == 0 then return {0} end
call('COPY', from, to, 'REPLACE') -- first: refused over maxmemory
call('EXPIRE', to, ARGV[3])
return {1, n}
