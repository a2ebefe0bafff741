-- limit - grants send slots of one group (project x model x lane), on all hosts together.
-- GCRA with burst 1: a dimension's TAT is the earliest time of its next call; a slot is the
-- latest of all dimensions' TATs, and moves each of them on by its T. Source of the algorithm:
-- ATM Forum TM 4.1, generic cell rate algorithm; as a limiter, B. Jordan's "throttled".
-- A call goes out between its slot and slot + d (10 ms). With T = (P + d) / N at most N + 1 calls
-- fall into any window of length P.
--
-- KEYS  1 genfarm:{limit:GROUP}:l, a hash: dims "name,name"; T:<name> us; tat:<name> us; spec
-- ARGV  1 want, 0 to 1,000  2 horizon: no slot later than this many us from now
--       3, 4 first and last slot handed back, us of the server's clock; 0: none
--       5 spec to set where none is set: '' or "name=COUNT/PERIOD_US,..."  6 '1': set the spec,
--       whatever was there; '2': clear
-- Returns {server us, spec, us from now of each slot granted...}; with no limit set, spec is ''
-- and no slots are needed. When `want` was above 0 and nothing fits into the horizon, the list is
-- empty and the third element is negative: us until the next slot, negated.
local call = redis.call
local key = KEYS[1]
local t = call('TIME')
local now = t[1] * 1000000 + t[2]
local function int(n)
  return string.format('%.0f', n)
end
local D = 10000
local spec = call('HGET', key, 'spec')
if ARGV[6] == '2' then
  call('DEL', key)
  return {int(now), ''}
end
if ARGV[5] ~= '' and (not spec or ARGV[6] == '1') then
  spec = ARGV[5]
  for _, f in ipairs(call('HKEYS', key)) do
    if string.sub(f, 1, 2) == 'T:' then call('HDEL', key, f) end
  end
  local names = {}
  for name, count, period in string.gmatch(spec, '([%w_]+)=(%d+)/(%d+)') do
    call('HSET', key, 'T:' .. name, int(math.ceil((period + D) / count)))
    names[#names + 1] = name
  end
  call('HSET', key, 'spec', spec, 'dims', table.concat(names, ','))
end
if not spec then return {int(now), ''} end

local names, T, tat = {}, {}, {}
for name in string.gmatch(call('HGET', key, 'dims'), '[^,]+') do names[#names + 1] = name end
local from, to = tonumber(ARGV[3]), tonumber(ARGV[4])
local last = from >= now -- whether what is handed back is the end of all that was granted
for i, name in ipairs(names) do
  local v = call('HMGET', key, 'T:' .. name, 'tat:' .. name)
  T[i], tat[i] = tonumber(v[1]), tonumber(v[2] or 0)
  if tat[i] ~= to + T[i] then last = false end
end
for i = 1, #names do
  if last then tat[i] = from end
  if tat[i] < now then tat[i] = now end
end
local out = {int(now), spec}
for _ = 1, tonumber(ARGV[1]) do
  local slot = now
  for i = 1, #names do if tat[i] > slot then slot = tat[i] end end
  if slot - now > tonumber(ARGV[2]) then
    if #out == 2 then out[3] = int(now - slot) end
    break
  end
  for i = 1, #names do tat[i] = slot + T[i] end
  out[#out + 1] = int(slot - now)
end
for i, name in ipairs(names) do call('HSET', key, 'tat:' .. name, int(tat[i])) end
return out
