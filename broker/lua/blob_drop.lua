-- blob_drop - forgets what blob kept, once a client has it on its disk; or keeps it a while longer
-- as a spare, where identical requests may want it.
--
-- ARGV  1 name (BATCH/INDEX)
-- Returns {1} gone; {0} was not there.
local name = ARGV[1]
local batch, index = string.match(name, '^(.+)/(%d+)$')
local bytes, images = uncount_images(batch or '', index or '')
if not bytes then return {0} end
if call('EXISTS', P .. 'im:' .. batch) == 1 then
  call('HSET', P .. 'im:' .. batch, 'fetched', int(now_ms()))
end
local key = P .. 'o:' .. name
local seconds = tonumber(call('GET', key .. '/s') or 0) or 0
if seconds == 0 or bytes > MOST_SPARE then
  unlink_images(name, images)
  return {1}
end
local ms = seconds * 1000
call('PEXPIRE', key, ms)
call('SET', key .. '/s', 'spare', 'PX', ms)
for i = 0, images - 1 do call('PEXPIRE', key .. '/' .. i, ms) end
call('ZADD', P .. 'spares', int(now_ms() + ms), int(bytes) .. ' ' .. images .. ' ' .. name)
local all = call('INCRBY', P .. 'spare', int(bytes))
while all > MOST_SPARE do
  local first = call('ZRANGE', P .. 'spares', 0, 0)
  if not first[1] then break end
  drop_spares(first)
  all = tonumber(call('GET', P .. 'spare') or 0)
end
return {1}
