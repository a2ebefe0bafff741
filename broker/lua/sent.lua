-- sent - marks calls as sent, before their first byte leaves. May be sent twice.
--
-- ARGV  1 incarnation  2.. SEQ:SLOT, up to 1,000
-- Returns {1, marks}: marks has a character a job, '1' marked, '0' no longer ours; {-1} the lease
-- is lost.
local inc, now = ARGV[1], now_ms()
if not alive(inc, now) then return {-1} end
local key = P .. 'a:' .. inc
local values = call('HMGET', key, unpack(ARGV, 2))
local args, marks, calls = {}, {}, {}
for i, v in ipairs(values) do
  marks[i] = v and '1' or '0'
  if v and string.byte(v) == 99 then -- 'c'
    args[#args + 1] = ARGV[1 + i]
    args[#args + 1] = 's' .. string.sub(v, 2)
    local list = string.sub(v, 2 + TICKET)
    calls[list] = (calls[list] or 0) + 1
  end
end
if #args > 0 then
  call('HSET', key, unpack(args))
  for list, n in pairs(calls) do
    local _, _, batch = list_parts(list)
    call('HINCRBY', P .. 'b:' .. batch, 'calls', n)
  end
end
return {1, table.concat(marks)}
