-- blob_trim - how much is stored; and keeps the images of batches that have ended within bounds:
-- those of the batch that ended first go first, never those of one that has not ended. May be sent
-- twice.
--
-- ARGV  1 ms that images stay after the end of their batch  2 bytes that those of ended batches may
--       have in all  3 bytes that all images may have, as calls wait for room; -1: they do not
--       4 ms: for bytes, nothing goes of a batch that ended, or was fetched from, later than that
--       5 most jobs whose images go
-- Returns {1, bytes stored, bytes of ended batches, jobs whose images went, their bytes, batch}; of
-- one batch each time
local keep, most_kept, most_all, calm = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]),
  tonumber(ARGV[4])
local now = now_ms()

local function bytes_of(name)
  return tonumber(call('GET', P .. name) or 0) or 0
end

-- How many bytes of a batch's images are to go.
local function too_many(batch, ended)
  if ended + keep <= now then return math.huge end
  local fetched = tonumber(call('HGET', P .. 'im:' .. batch, 'fetched') or 0) or 0
  if math.max(ended, fetched) + calm > now then return 0 end
  local over_all = most_all < 0 and 0 or bytes_of('stored') - most_all
  return math.max(bytes_of('kept') - most_kept, over_all)
end

local function trim()
  local kept = call('ZRANGEBYSCORE', P .. 'images', 0, int(now), 'WITHSCORES', 'LIMIT', 0, 16)
  for i = 1, #kept, 2 do
    local batch, want = kept[i], too_many(kept[i], tonumber(kept[i + 1]))
    if want > 0 then
      local jobs, bytes = drop_images(batch, tonumber(ARGV[5]), want)
      local b = P .. 'b:' .. batch
      if jobs > 0 and call('HEXISTS', b, 'nonce') == 1 then call('HINCRBY', b, 'gone', jobs) end
      return jobs, bytes, batch
    end
  end
  return 0, 0, ''
end

local jobs, bytes, batch = trim()
return {1, bytes_of('stored'), bytes_of('kept'), jobs, bytes, batch}
