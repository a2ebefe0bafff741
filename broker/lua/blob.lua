-- blob - keeps the images and the record of a job in Redis until a client has fetched them.
-- The first writer wins; the loser's chunks go.
--
-- ARGV  1 name (BATCH/INDEX)  2 record  3 seconds to keep  4 bytes in all
--       5 seconds to keep it after a client has fetched it, for identical requests; 0: none
--       6.. temporary keys of the images' chunk lists, without the prefix, in order
-- Returns {1} stored; {0, record} another was there first.
local name, now = ARGV[1], now_ms()
local first = call('GET', P .. 'o:' .. name)
if first then
  for i = 6, #ARGV do call('UNLINK', P .. 'o:' .. ARGV[i]) end
  return {0, first}
end
local ms = ARGV[3] * 1000
call('SET', P .. 'o:' .. name, ARGV[2], 'PX', ms)
if ARGV[5] ~= '0' then call('SET', P .. 'o:' .. name .. '/s', ARGV[5], 'PX', ms) end
for i = 6, #ARGV do
  local key = P .. 'o:' .. name .. '/' .. (i - 6)
  if call('EXISTS', P .. 'o:' .. ARGV[i]) == 1 then
    call('RENAME', P .. 'o:' .. ARGV[i], key)
    call('PEXPIRE', key, ms)
  end
end
call('INCRBY', P .. 'stored', ARGV[4])
call('ZADD', P .. 'blobs', int(now + ms), ARGV[4] .. ' ' .. name)
return {1}
