-- tickets - where jobs are, in bounded pieces, for who audits the queue.
--
-- ARGV  1 where: 'ready', 'delayed', 'active', 'lost'  2 its name: a list, a batch, an incarnation
--       3 cursor, '0' at first: of 'ready' how many from the end were seen
-- Returns {1, next cursor or '0', {batch, ticket, ...}}
local where, name, cursor = ARGV[1], ARGV[2], ARGV[3]
local out = {}
local function add(list, ticket)
  local _, _, batch = list_parts(list)
  out[#out + 1] = batch or ''
  out[#out + 1] = ticket
end

-- From the end: workers take from the front, and what they take must not hide another.
local function ready()
  local seen = tonumber(cursor)
  local tickets = call('LRANGE', P .. 'r:' .. name, -seen - 1000, -seen - 1)
  for _, t in ipairs(tickets) do add(name, t) end
  return #tickets == 1000 and int(seen + 1000) or '0'
end

local function delayed()
  local page = call('ZSCAN', P .. 'd:' .. name, cursor, 'COUNT', 1000)
  for i = 1, #page[2], 2 do
    add(string.sub(page[2][i], 1 + TICKET), string.sub(page[2][i], 1, TICKET))
  end
  return page[1]
end

local function active(kind)
  return function()
    local page = call('HSCAN', P .. kind .. name, cursor, 'COUNT', 1000)
    for i = 2, #page[2], 2 do
      local v = page[2][i]
      if string.byte(v) ~= 105 then -- 'i', of the inbox
        add(list_of(v), string.sub(v, 2, 1 + TICKET))
      end
    end
    return page[1]
  end
end

local did = ({ready = ready, delayed = delayed, active = active('a:'), lost = active('x:')})[where]()
return {1, did, out}
