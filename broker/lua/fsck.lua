-- fsck - checks what the queue's invariants say of its keys, and mends what can be mended without
-- knowing more; a bounded piece at a time, each of them at one instant.
--
-- ARGV  1 what: 'keys', a page of all keys; 'index', rings and counts; 'batch'  2 '1': mend
--       3 keys: cursor, '0' at first; batch: its name
-- Returns {1, next cursor, {problem, mended '1' or '0', ...}}
local what, mend, arg, now = ARGV[1], ARGV[2] == '1', ARGV[3], now_ms()
local out = {}

-- `fix` is done where it is asked for; without one the problem stays.
local function problem(text, fix)
  local mended = mend and fix ~= nil
  if mended then fix() end
  out[#out + 1] = text
  out[#out + 1] = mended and '1' or '0'
end

local function there(batch)
  return call('EXISTS', P .. 'b:' .. batch) == 1
end

-- --- Keys ---

local function of_batch(kind)
  return function(batch)
    if there(batch) then return end
    problem(kind .. batch .. ' is left of a batch that is gone', function()
      call('UNLINK', P .. kind .. batch)
    end)
  end
end

local function held(kind)
  return function(inc)
    if call('ZSCORE', P .. 'leases', inc) then return end
    problem('jobs are held by worker ' .. inc .. ', which has no lease', function()
      call('ZADD', P .. 'leases', 1, inc) -- they are taken back as of any lost worker
    end)
  end
end

local function list_key(list)
  local _, _, batch = list_parts(list)
  if not batch or not there(batch) then
    problem('ready list ' .. list .. ' is left of a batch that is gone', function()
      call('UNLINK', P .. 'r:' .. list)
    end)
  elseif call('SISMEMBER', P .. 'ls:' .. batch, list) == 0 then
    problem('ready list ' .. list .. ' is not among its batch\'s', function()
      call('SADD', P .. 'ls:' .. batch, list)
    end)
  end
end

local function user_ring(name)
  local ring = string.match(name, '^(%d/[^/]+/[^/]+)/')
  for _, batch in ipairs(call('LRANGE', P .. 'ur:' .. name, 0, 999)) do
    local list = (ring or '') .. '/' .. batch
    if call('EXISTS', P .. 'r:' .. list) == 0 then
      problem('the ring names ready list ' .. list .. ', which is empty', function()
        call('LREM', P .. 'ur:' .. name, 0, batch)
      end)
    end
  end
end

local function batch_key(batch)
  if not call('ZSCORE', P .. 'batches', batch) then
    problem('batch ' .. batch .. ' is not among the batches', function()
      call('ZADD', P .. 'batches', call('HGET', P .. 'b:' .. batch, 'created') or int(now), batch)
    end)
  end
end

-- An operation that nobody would look after any more: its jobs are taken back as lost ones.
local function operation(op)
  local inc = call('HGET', P .. 'bo:' .. op, 'inc')
  if not inc or not call('ZSCORE', P .. 'leases', inc) then
    problem('operation ' .. op .. ' has no lease', function()
      call('DEL', P .. 'bo:' .. op)
      call('ZREM', P .. 'ops', op)
    end)
  elseif not call('ZSCORE', P .. 'ops', op) then
    problem('operation ' .. op .. ' is not among the operations', function()
      call('ZADD', P .. 'ops', 1, op)
    end)
  end
end

local function ledger_key(day)
  local is = call('TYPE', P .. 'lg:' .. day).ok
  if is ~= 'list' then
    problem('the ledger of day ' .. day .. ' is a ' .. is .. ', not a list')
  elseif not call('HGET', P .. 'lg', day) then
    problem('the ledger of day ' .. day .. ' is not counted', function()
      local size = 0
      for _, e in ipairs(call('LRANGE', P .. 'lg:' .. day, 0, 999)) do size = size + #e end
      call('HSET', P .. 'lg', day, size) -- from the first of them: it is to be seen and trimmed
    end)
  end
end

local function request_key(digest)
  local request = P .. 'dd:' .. digest
  local by = call('HGET', request, 'by')
  if by and not is_led(by) then
    problem('request ' .. digest .. ' is led by a job that is with no worker', function()
      call('HDEL', request, 'by')
      rouse(digest)
    end)
  end
  if call('PTTL', request) == -1 then
    problem('request ' .. digest .. ' would never be forgotten', function()
      call('PEXPIRE', request, 3600000)
    end)
  end
end

local function leads_key(inc)
  if call('ZSCORE', P .. 'leases', inc) then return end
  problem('requests are led by worker ' .. inc .. ', which has no lease', function()
    call('UNLINK', P .. 'dl:' .. inc)
  end)
end

local function followers_key(digest)
  if call('PTTL', P .. 'dw:' .. digest) ~= -1 then return end
  problem('followers of request ' .. digest .. ' would never be forgotten', function()
    call('PEXPIRE', P .. 'dw:' .. digest, 3600000)
  end)
end

local KEYS_LIKE = {
  ['dd:'] = request_key, ['dl:'] = leads_key, ['dw:'] = followers_key,
  ['a:'] = held('a:'), ['x:'] = held('x:'), ['r:'] = list_key, ['ur:'] = user_ring,
  ['b:'] = batch_key, ['d:'] = of_batch('d:'), ['bo:'] = operation, ['lg:'] = ledger_key,
}
for _, kind in ipairs(KEYS_OF_BATCH) do
  KEYS_LIKE[kind] = KEYS_LIKE[kind] or of_batch(kind)
end

local function keys()
  local page = call('SCAN', arg, 'MATCH', string.gsub(P, '[%[%]*?\\]', '\\%0') .. '*', 'COUNT', 500)
  for _, key in ipairs(page[2]) do
    local kind, name = string.match(string.sub(key, #P + 1), '^(%a+:)(.*)$')
    if KEYS_LIKE[kind] then KEYS_LIKE[kind](name) end
  end
  return page[1]
end

-- --- Rings and counts ---

local function ring_of(list, user, batch, want)
  local ring = list_parts(list)
  local mine, users = P .. 'ur:' .. ring .. '/' .. user, P .. 'ring:' .. ring
  local times = #call('LPOS', mine, batch, 'COUNT', 0)
  if times ~= want then
    problem('ready list ' .. list .. ' is ' .. times .. ' times in its ring, not ' .. want,
      function()
        call('LREM', mine, 0, batch)
        if want == 1 then call('RPUSH', mine, batch) end
      end)
  end
  local filled = call('EXISTS', mine)
  times = #call('LPOS', users, user, 'COUNT', 0)
  if times ~= filled then
    problem('user ' .. user .. ' is ' .. times .. ' times in ring ' .. ring .. ', not ' .. filled,
      function()
        call('LREM', users, 0, user)
        if filled == 1 then call('RPUSH', users, user) end
      end)
  end
end

local function delayed_of(batch)
  local first = call('ZRANGE', P .. 'd:' .. batch, 0, 0, 'WITHSCORES')[2]
  local told = call('ZSCORE', P .. 'delayed', batch)
  if first and not (told and tonumber(told) <= tonumber(first)) then
    problem('delayed jobs of batch ' .. batch .. ' would not be looked at', function()
      call('ZADD', P .. 'delayed', first, batch)
    end)
  end
end

local function compare_ready(ready)
  local told = call('HGETALL', P .. 'ready')
  for i = 1, #told, 2 do
    local is = ready[told[i]] or 0
    if is ~= tonumber(told[i + 1]) then
      problem('ready jobs of ' .. told[i] .. ': ' .. is .. ', counted ' .. told[i + 1], function()
        call('HDEL', P .. 'ready', told[i])
        if is > 0 then call('HSET', P .. 'ready', told[i], is) end
      end)
    end
    ready[told[i]] = nil
  end
  for lane_model, n in pairs(ready) do
    if n > 0 then
      problem('ready jobs of ' .. lane_model .. ': ' .. n .. ', counted none', function()
        call('HSET', P .. 'ready', lane_model, n)
      end)
    end
  end
end

local function compare_live(live)
  local told = call('LLEN', P .. 'live')
  if told == live then return end
  problem('jobs that are not over: ' .. live .. ', counted ' .. told, function()
    if told > live then call('LPOP', P .. 'live', told - live) end
    for _ = told + 1, live do call('RPUSH', P .. 'live', '') end
  end)
end

local function compare_queued(queued)
  local told = tonumber(call('GET', P .. 'queued') or 0)
  if told == queued then return end
  problem('bytes of inputs of batches that have not ended: ' .. int(queued) .. ', counted ' ..
    int(told), function()
      call('SET', P .. 'queued', int(queued))
    end)
end

-- Of images that were fetched and are kept for identical requests.
local function compare_spare()
  if call('ZCARD', P .. 'spares') > 10000 then return end
  local is, told = 0, tonumber(call('GET', P .. 'spare') or 0)
  for _, spare in ipairs(call('ZRANGE', P .. 'spares', 0, -1)) do
    is = is + tonumber(string.match(spare, '^%d+') or 0)
  end
  if is == told then return end
  problem('bytes of spare images: ' .. int(is) .. ', counted ' .. int(told), function()
    call('SET', P .. 'spare', int(is))
  end)
end

local function index()
  local names = call('ZRANGE', P .. 'batches', 0, 999)
  local live, queued, ready = 0, 0, {}
  if call('ZCARD', P .. 'batches') > #names then
    problem('there are more than 1000 batches: rings and counts were not compared')
    return '0'
  end
  for _, batch in ipairs(names) do
    local b = call('HMGET', P .. 'b:' .. batch, 'open', 'user', 'paused', 'nonce', 'done_at', 'in_bytes')
    if b[4] then
      live = live + tonumber(b[1])
      if not b[5] then queued = queued + tonumber(b[6] or 0) end
      delayed_of(batch)
      for _, list in ipairs(call('SMEMBERS', P .. 'ls:' .. batch)) do
        local _, lane_model = list_parts(list)
        local n = call('LLEN', P .. 'r:' .. list)
        if b[3] then n = 0 end
        ring_of(list, b[2], batch, n > 0 and 1 or 0)
        ready[lane_model] = (ready[lane_model] or 0) + n
      end
    end
  end
  compare_ready(ready)
  compare_live(live)
  compare_queued(queued)
  compare_spare()
  return '0'
end

-- --- One batch ---

local function batch_facts()
  local key = P .. 'b:' .. arg
  local b = call('HMGET', key, 'hw', 'open', 'completed', 'failed', 'cancelled', 'ev', 'sealed',
    'total', 'done_at', 'nonce')
  if not b[10] then return '0' end
  local n = {}
  for i = 1, 6 do n[i] = tonumber(b[i]) or -1 end
  local function wrong(text, is, told, fix)
    if is ~= told then
      problem('batch ' .. arg .. ': ' .. text .. ': ' .. tostring(is) .. ', counted ' ..
        tostring(told), fix)
    end
  end
  wrong('jobs', n[2] + n[3] + n[4] + n[5], n[1])
  wrong('states of jobs', call('BITCOUNT', P .. 'st:' .. arg), n[3] + n[4] + 2 * n[5])
  wrong('inputs', call('HLEN', P .. 'in:' .. arg), n[1])
  wrong('events', call('XLEN', P .. 'ev:' .. arg), n[6])
  local last = call('XREVRANGE', P .. 'ev:' .. arg, '+', '-', 'COUNT', 1)[1]
  wrong('last event', last and last[1] or 'none', n[6] .. '-0')
  if b[7] == '1' then wrong('total', tonumber(b[8]), n[1]) end
  if b[7] == '1' and n[2] == 0 and not b[9] then
    problem('batch ' .. arg .. ': all jobs are over, and it has not ended', function()
      finish_if_done(arg, now)
    end)
  elseif b[9] and (n[2] > 0 or b[7] ~= '1') then
    problem('batch ' .. arg .. ': it has ended with jobs that are not over')
  elseif b[9] and not call('ZSCORE', P .. 'expiring', arg) then
    problem('batch ' .. arg .. ': it has ended and would never expire', function()
      call('ZADD', P .. 'expiring', int(now + 86400000), arg)
    end)
  end
  return '0'
end

local did = ({keys = keys, index = index, batch = batch_facts})[what]()
return {1, did, out}
