-- blob_drop - forgets what blob kept, once a client has it on its disk; or keeps it a while longer
-- as a spare, where identical requests may want it.
--
-- ARGV  1 name  2 number of images  3 bytes in all, as given to blob
-- Returns {1} gone; {0} was not there.
local name, images, bytes = ARGV[1], tonumber(ARGV[2]), ARGV[3]
if call('ZREM', P .. 'blobs', bytes .. ' ' .. name) == 0 then return {0} end
call('DECRBY', P .. 'stored', bytes)
local key = P .. 'o:' .. name
local seconds = tonumber(call('GET', key .. '/s') or 0) or 0
if seconds == 0 or tonumber(bytes) > MOST_SPARE then
  call('UNLINK', key, key .. '/s')
  for i = 0, images - 1 do call('UNLINK', key .. '/' .. i) end
  return {1}
end
local ms = seconds * 1000
call('PEXPIRE', key, ms)
call('SET', key .. '/s', 'spare', 'PX', ms)
for i = 0, images - 1 do call('PEXPIRE', key .. '/' .. i, ms) end
call('ZADD', P .. 'spares', int(now_ms() + ms), bytes .. ' ' .. images .. ' ' .. name)
local all = call('INCRBY', P .. 'spare', bytes)
while all > MOST_SPARE do
  local first = call('ZRANGE', P .. 'spares', 0, 0)
  if not first[1] then break end
  drop_spares(first)
  all = tonumber(call('GET', P .. 'spare') or 0)
end
return {1}
