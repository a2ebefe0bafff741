-- blob - keeps the images and the record of a job in Redis until a client has fetched them, or they
-- expire with their batch. The first writer wins; the loser's chunks go.
--
-- ARGV  1 name (BATCH/INDEX)  2 record, in which the batch's nonce is  3 bytes in all
--       4 seconds to keep it after a client has fetched it, for identical requests; 0: none
--       5.. temporary keys of the images' chunk lists, without the prefix, in order
-- Returns {1} stored, or the batch is gone, and nobody could ask for them; {0, record} another was
-- there first.
local name = ARGV[1]
local batch, index = string.match(name, '^(.+)/(%d+)$')
local function drop_temps()
  for i = 5, #ARGV do call('UNLINK', P .. 'o:' .. ARGV[i]) end
  return {1}
end
local b = call('HMGET', P .. 'b:' .. batch, 'nonce', 'done_at')
if not b[1] then return drop_temps() end
local key = P .. 'o:' .. name
local first = call('GET', key)
if first and string.find(first, b[1], 1, true) then
  drop_temps()
  return {0, first}
end
if first then -- of a batch that had this name before
  local _, images = uncount_images(batch, index)
  unlink_images(name, images or 0)
end
call('SET', key, ARGV[2])
if ARGV[4] ~= '0' then call('SET', key .. '/s', ARGV[4]) end
for i = 5, #ARGV do
  if call('EXISTS', P .. 'o:' .. ARGV[i]) == 1 then
    call('RENAME', P .. 'o:' .. ARGV[i], key .. '/' .. (i - 5))
    call('PERSIST', key .. '/' .. (i - 5))
  end
end
count_images(batch, index, ARGV[3], #ARGV - 4, b[2])
return {1}
