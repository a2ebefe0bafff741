-- sent - marks calls as sent, before their first byte leaves. May be sent twice. A job that was
-- cancelled meanwhile is taken from its worker instead, so that no money is spent on it.
--
-- ARGV  1 incarnation  2.. SEQ:SLOT, up to 1,000
-- Returns {1, marks}: marks has a character a job, '1' marked, '0' no longer ours; {-1} the lease
-- is lost.
local inc, now = ARGV[1], now_ms()
if not alive(inc, now) then return {-1} end
local key = P .. 'a:' .. inc
local values = call('HMGET', key, unpack(ARGV, 2))
local args, marks, gone, lists = {}, {}, {}, {}
for i, v in ipairs(values) do
  marks[i] = v and '1' or '0'
  if v then
    local list = string.sub(v, 2 + TICKET)
    local l = lists[list] or {at = {}, indexes = {}, runs = {}}
    lists[list] = l
    l.at[#l.at + 1] = i
    l.indexes[#l.at], l.runs[#l.at] = struct.unpack('>I4I2', v, 2)
  end
end
for list, l in pairs(lists) do
  local _, _, batch = list_parts(list)
  local calls, ended = 0, over(batch, call('HGET', P .. 'b:' .. batch, 'run'), l.indexes, l.runs)
  for k, i in ipairs(l.at) do
    if ended[k] then
      marks[i] = '0'
      gone[#gone + 1] = ARGV[1 + i]
    elseif string.byte(values[i]) == 99 then -- 'c'
      args[#args + 1] = ARGV[1 + i]
      args[#args + 1] = 's' .. string.sub(values[i], 2)
      calls = calls + 1
    end
  end
  l.batch, l.calls = batch, calls
end
if #args > 0 then call('HSET', key, unpack(args)) end -- first: refused over maxmemory
for _, l in pairs(lists) do
  if l.calls > 0 then call('HINCRBY', P .. 'b:' .. l.batch, 'calls', l.calls) end
end
if #gone > 0 then call('HDEL', key, unpack(gone)) end
return {1, table.concat(marks)}
