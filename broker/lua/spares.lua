-- spares.lua - images that a client has fetched and that are kept for a while, for identical
-- requests; the ones nearest to their end go first when there are too many.
local MOST_SPARE = 268435456 -- bytes

-- A spare is named 'BYTES IMAGES NAME'.
local function drop_spares(spares)
  for _, spare in ipairs(spares) do
    local bytes, images, name = string.match(spare, '^(%d+) (%d+) (.+)$')
    if call('ZREM', P .. 'spares', spare) == 1 and name then
      local key = P .. 'o:' .. name
      if call('GET', key .. '/s') == 'spare' then -- else it has expired, and may be another's by now
        call('UNLINK', key, key .. '/s')
        for i = 0, tonumber(images) - 1 do call('UNLINK', key .. '/' .. i) end
      end
      if call('DECRBY', P .. 'spare', bytes) <= 0 then call('DEL', P .. 'spare') end
    end
  end
end
