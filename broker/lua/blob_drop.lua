-- blob_drop - forgets what blob kept, once a client has it on its disk.
--
-- ARGV  1 name  2 number of images  3 bytes in all, as given to blob
-- Returns {1} gone; {0} was not there.
if call('ZREM', P .. 'blobs', ARGV[3] .. ' ' .. ARGV[1]) == 0 then return {0} end
call('UNLINK', P .. 'o:' .. ARGV[1])
for i = 0, tonumber(ARGV[2]) - 1 do call('UNLINK', P .. 'o:' .. ARGV[1] .. '/' .. i) end
call('DECRBY', P .. 'stored', ARGV[3])
return {1}
