-- mine - what the server holds for an incarnation: a worker asks when the numbers differ, or when
-- jobs of its may have been cancelled.
--
-- ARGV  1 incarnation  2 most, up to 1,000: fields it holds; 0: says which of those named are over
--       3.. SEQ:SLOT, up to 1,000
-- Returns {1, {SEQ:SLOT, ...}}, or {1, marks}: a character a field, '1' to be done, '0' over or not
-- ours; {-1} the lease is lost.
local inc, most = ARGV[1], tonumber(ARGV[2])
if not alive(inc, now_ms()) then return {-1} end
local key = P .. 'a:' .. inc
if most > 0 then
  local all = call('HKEYS', key)
  return {1, {unpack(all, 1, math.min(#all, most))}}
end
local marks = {}
for i, v in ipairs(call('HMGET', key, unpack(ARGV, 3))) do
  marks[i] = '0'
  if v and string.byte(v) ~= 105 then -- 'i', of the inbox
    local _, _, batch = list_parts(list_of(v))
    local index, run = struct.unpack('>I4I2', v, 2)
    local ended = over(batch, call('HGET', P .. 'b:' .. batch, 'run'), {index}, {run})
    if not ended[1] then marks[i] = '1' end
  end
end
return {1, table.concat(marks)}
