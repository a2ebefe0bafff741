-- claim - takes up to `want` ready jobs for one incarnation, fairly among users and batches.
--
-- ARGV  1 incarnation  2 SEQ of this claim, rising  3 want, 0 to 1,000
--       then LANE/MODEL, in the order of preference
-- Returns {1, server ms, ready, visits}: `ready` the pairs LANE/MODEL, jobs that could be
-- claimed; a visit is {list, user, nonce, batch's total, when it was made (ms), slot, ticket,
-- input, slot, ticket, ...};
-- {-1} the lease is lost.
--
-- A claim whose SEQ is not above the last returns what still exists under it and never pops.
local inc, seq, want = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local now = now_ms()
if not alive(inc, now) then return {-1} end
local me = P .. 'w:' .. inc
local last = call('HMGET', me, 'seq', 'seqn')

local function head(list)
  local _, _, batch = list_parts(list)
  local b = call('HMGET', P .. 'b:' .. batch, 'nonce', 'total', 'hw', 'user', 'maxin',
    'created', 'run')
  local total = tonumber(b[2]) or -1
  if total < 0 then total = tonumber(b[3]) or 0 end
  local maxin = math.max(1, tonumber(b[5]) or 1)
  return batch, {list, b[4] or '', b[1] or '', total, b[6] or '0'}, maxin, b[7]
end

-- A list of which somebody made the name may lead workers anywhere: it is left where it is.
local function named_well(list)
  local _, _, batch = list_parts(list)
  return batch and #batch <= 100 and string.find(batch, '^[%w_-][%w._-]*$')
end

if seq <= tonumber(last[1]) then
  local visits = {}
  for slot = 1, seq == tonumber(last[1]) and tonumber(last[2]) or 0 do
    local v = call('HGET', P .. 'a:' .. inc, seq .. ':' .. slot)
    if v and named_well(list_of(v)) then
      local batch, visit = head(list_of(v))
      local index = struct.unpack('>I4', v, 2)
      visit[6], visit[7] = slot, string.sub(v, 2, 1 + TICKET)
      visit[8] = call('HGET', P .. 'in:' .. batch, index) or ''
      visits[#visits + 1] = visit
    end
  end
  return {1, now, claimable(), visits}
end
call('HSET', me, 'seq', seq, 'seqn', 0) -- refused over maxmemory, before anything was popped

local slots, visits, active, bytes, popped = 0, {}, {}, 0, 0
local MOST = 16777216 -- indexes of a batch

-- Takes up to q tickets of one list; the ones whose job is over are dropped, and count for the
-- bound of the call.
local function take(list, q)
  local batch, visit, maxin, run = head(list)
  q = math.min(q, math.max(1, math.floor(8388608 / maxin)))
  local tickets = call('LPOP', P .. 'r:' .. list, q)
  if not tickets then return end
  local _, lane_model = list_parts(list)
  count_ready(lane_model, -#tickets)
  popped = popped + #tickets
  local good, indexes, runs, n = {}, {}, {}, 0
  for _, t in ipairs(tickets) do
    local index, run = MOST, 0
    if #t == TICKET then index, run = struct.unpack('>I4I2', t) end
    if index < MOST then -- what is no ticket goes, and nothing else with it
      n = n + 1
      good[n], indexes[n], runs[n] = t, index, run
    end
  end
  if n == 0 then return end
  local gone = over(batch, run, indexes, runs)
  local inputs = call('HMGET', P .. 'in:' .. batch, unpack(indexes))
  for i, t in ipairs(good) do
    if not gone[i] and inputs[i] then
      slots = slots + 1
      active[#active + 1] = seq .. ':' .. slots
      active[#active + 1] = 'c' .. t .. list
      visit[#visit + 1] = slots
      visit[#visit + 1] = t
      visit[#visit + 1] = inputs[i]
      bytes = bytes + #inputs[i]
    end
  end
  if #visit > 5 then visits[#visits + 1] = visit end
end

-- Goes round the users of one ring, and round the batches of each.
local function round(ring)
  local users = call('LLEN', P .. 'ring:' .. ring)
  while users > 0 and slots < want and bytes < 8388608 and popped < want + 1000 do
    local share = math.max(1, math.floor((want - slots) / users))
    local user = call('LPOP', P .. 'ring:' .. ring)
    if not user then return end
    local key = P .. 'ur:' .. ring .. '/' .. user
    local batch = call('LPOP', key)
    if batch and named_well(ring .. '/' .. batch) then
      local list = ring .. '/' .. batch
      take(list, share)
      if call('LLEN', P .. 'r:' .. list) > 0 then call('RPUSH', key, batch) end
    end
    if call('LLEN', key) > 0 then
      call('RPUSH', P .. 'ring:' .. ring, user)
    else
      users = users - 1
    end
  end
end

-- High, normal and low come first in 16, 4 and 1 of 21 claims.
local turn = seq % 21
local order = turn < 16 and {0, 1, 2} or turn < 20 and {1, 0, 2} or {2, 0, 1}
if want > 0 and call('HEXISTS', KEYS[1], 'paused') == 0 then
  for i = 4, #ARGV do
    for _, priority in ipairs(order) do
      if slots < want then round(priority .. '/' .. ARGV[i]) end
    end
  end
end
if slots > 0 then
  for i = 1, #active, 4000 do
    call('HSET', P .. 'a:' .. inc, unpack(active, i, math.min(i + 3999, #active)))
  end
  call('HSET', me, 'seqn', slots)
end
return {1, now, claimable(), visits}
