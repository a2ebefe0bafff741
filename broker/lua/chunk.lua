-- chunk - adds jobs to an unsealed batch, in order. Jobs that are in already are compared.
--
-- ARGV  1 batch  2 index of the first job  3 n, 1 to 1,000
--       then n times: PRIORITY/LANE/MODEL, input
-- Returns {1, jobs now in}; {0} no such batch; {-1, index} that index is in with another input;
-- {-2, jobs in} the chunk begins beyond what is in; {-3} the batch is sealed and smaller.
local batch, first, n = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local key = P .. 'b:' .. batch
local b = call('HMGET', key, 'hw', 'sealed', 'user', 'paused', 'cancel', 'maxin', 'run')
if not b[1] then return {0} end
local have = tonumber(b[1])
if first > have then return {-2, have} end
local known = math.min(n, have - first)
if known > 0 then
  local want = {}
  for i = 1, known do want[i] = first + i - 1 end
  local inputs = call('HMGET', P .. 'in:' .. batch, unpack(want))
  for i = 1, known do
    if string.sub(inputs[i] or '', 1, 4) ~= string.sub(ARGV[3 + 2 * i], 1, 4) then
      return {-1, want[i]}
    end
  end
end
if known == n then return {1, have} end
if b[2] == '1' then return {-3} end

local rows, lists, order, largest, bytes = {}, {}, {}, tonumber(b[6]), 0
for i = known + 1, n do
  local index, input = first + i - 1, ARGV[3 + 2 * i]
  rows[#rows + 1] = index
  rows[#rows + 1] = input
  if #input > largest then largest = #input end
  bytes = bytes + #input
  local list = ARGV[2 + 2 * i] .. '/' .. batch
  local l = lists[list]
  if not l then
    l = {}
    lists[list] = l
    order[#order + 1] = list
  end
  l[#l + 1] = struct.pack('>I4I2', index, 1) .. '\0\0\0\0'
end
local added = n - known
call('HSET', P .. 'in:' .. batch, unpack(rows))
call('HSET', key, 'hw', have + added, 'maxin', largest)
call('HINCRBY', key, 'open', added)
add_bytes(batch, bytes)
call('SADD', P .. 'ls:' .. batch, unpack(order))
for _, list in ipairs(order) do push(list, b[3], b[4], lists[list]) end
local ones = {}
for i = 1, added do ones[i] = '' end
call('RPUSH', P .. 'live', unpack(ones))
return {1, have + added}
