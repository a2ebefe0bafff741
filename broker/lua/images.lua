-- images.lua - images that wait in Redis to be fetched. `im:BATCH` has a field for each job that has
-- some, 'BYTES IMAGES', and `bytes` of them all, and `fetched`: when the last ones were. They live as
-- long as their batch, and while it has not ended nothing removes them but who fetched them: in
-- `images` it stands at `inf`. From its end on it stands there with the time of that, and they live
-- within what the workers allow (blob_trim); with 0 once it has expired.

-- Takes note of the images of a job. First: something that may be refused over maxmemory.
local function count_images(batch, index, bytes, images, done_at)
  local key = P .. 'im:' .. batch
  call('HSET', key, index, bytes .. ' ' .. images)
  call('HSETNX', key, 'fetched', '0')
  local before = call('HGET', key, 'bytes') or 0
  call('HINCRBY', key, 'bytes', bytes)
  call('INCRBY', P .. 'stored', bytes)
  local added = call('ZADD', P .. 'images', 'NX', done_at or 'inf', batch) == 1
  if done_at then call('INCRBY', P .. 'kept', int(bytes + (added and before or 0))) end
end

-- The images of a job are no longer counted: gives their bytes and number, or nil.
local function uncount_images(batch, index)
  local key = P .. 'im:' .. batch
  local bytes, images = string.match(call('HGET', key, index) or '', '^(%d+) (%d+)$')
  call('HDEL', key, index) -- a removal first: this works when memory is full
  if not bytes or #bytes > 15 then return nil end
  call('HINCRBY', key, 'bytes', '-' .. bytes)
  call('DECRBY', P .. 'stored', bytes)
  local ended = call('ZSCORE', P .. 'images', batch)
  if ended and ended ~= 'inf' and call('DECRBY', P .. 'kept', bytes) <= 0 then
    call('DEL', P .. 'kept')
  end
  if call('HLEN', key) <= 2 then
    call('UNLINK', key)
    call('ZREM', P .. 'images', batch)
  end
  return tonumber(bytes), math.min(tonumber(images), 64)
end

local function unlink_images(name, images)
  local key = P .. 'o:' .. name
  call('UNLINK', key, key .. '/s')
  for i = 0, images - 1 do call('UNLINK', key .. '/' .. i) end
end

-- Removes the images of up to `most` jobs of a batch, and no more than come to `want` bytes. Gives
-- how many jobs, and their bytes.
local function drop_images(batch, most, want)
  local key, jobs, sum = P .. 'im:' .. batch, 0, 0
  local fields = redis.pcall('HRANDFIELD', key, most + 2)
  if not fields or fields.err then fields = {} end
  for _, index in ipairs(fields) do
    if jobs == most or sum >= want then break end
    if index ~= 'bytes' and index ~= 'fetched' then
      local bytes, images = uncount_images(batch, index)
      unlink_images(batch .. '/' .. index, images or 0)
      jobs, sum = jobs + 1, sum + (bytes or 0)
    end
  end
  if jobs == 0 and #fields <= 2 then
    call('ZREM', P .. 'images', batch)
    call('UNLINK', key)
  end
  return jobs, sum
end
