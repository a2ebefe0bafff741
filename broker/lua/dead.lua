-- dead - looks at the dead letters, oldest first, a bounded piece at a time.
--
-- ARGV  1 position of the first, from 0  2 most, up to 200  3 bytes to show of each
-- Returns {1, position of the next, letters in all, {letter, ...}}; a letter is its position, the
-- SHA-1 of all of it, its size and its first bytes. Letters are added at the end and taken out
-- anywhere: a position can only go down.
local at, most, shown = tonumber(ARGV[1]), math.min(tonumber(ARGV[2]), 200), tonumber(ARGV[3])
local STEP = 10 -- letters read at once, for their sizes are known afterwards only
local out, bytes = {}, 0
while #out < 4 * most and bytes < 1048576 do
  local some = call('LRANGE', P .. 'dead', at, at + math.min(STEP, most - #out / 4) - 1)
  if #some == 0 then break end
  for _, letter in ipairs(some) do
    out[#out + 1] = at
    out[#out + 1] = redis.sha1hex(letter)
    out[#out + 1] = #letter
    out[#out + 1] = string.sub(letter, 1, shown)
    at = at + 1
    bytes = bytes + #letter
  end
end
return {1, at, call('LLEN', P .. 'dead'), out}
