-- dead_drop - takes dead letters out, by what they are: one that has gone is passed over, so that
-- it may be sent twice.
--
-- ARGV  pairs of position, as dead.lua told it, and SHA-1; up to 100, positions rising
-- Returns {1, marks}: a character a letter, '1' gone now, '0' not found there or shortly before.
local STEP, STEPS = 16, 16 -- letters looked at in one step back, and steps
local key, gone, marks = P .. 'dead', 0, {}

-- The letter at a position or, when others in front of it have gone, up to 256 before it.
local function find(at, sha)
  for _ = 1, STEPS do
    local from = math.max(0, at - STEP + 1)
    local some = at < 0 and {} or call('LRANGE', key, from, at)
    for i = #some, 1, -1 do
      if redis.sha1hex(some[i]) == sha then return some[i], from + i - 1 end
    end
    at = from - 1
  end
end

for i = 1, #ARGV, 2 do
  local letter, at = find(tonumber(ARGV[i]) - gone, ARGV[i + 1])
  if letter then
    -- Equal letters are one and the same; this looks from the nearer end.
    call('LREM', key, 2 * at < call('LLEN', key) and 1 or -1, letter)
    gone = gone + 1
  end
  marks[#marks + 1] = letter and '1' or '0'
end
return {1, table.concat(marks)}
