-- fsck - checks what the queue's invariants say of its keys, and mends what can be mended without
-- knowing more; a bounded piece at a time, each of them at one instant. See tally.lua for counts.
--
-- ARGV  1 what: 'keys', a page of all keys; 'batch', with its lists' places in rings  2 '1': mend
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
      call('ZADD', P .. 'leases', 0, inc) -- they are taken back as of any lost worker
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

-- Whether a worker's jobs are about: then it, and what belongs to them, is taken back with them.
local function is_known(inc)
  return call('ZSCORE', P .. 'leases', inc) or call('EXISTS', P .. 'a:' .. inc, P .. 'x:' .. inc) > 0
end

local function worker_key(inc)
  if is_known(inc) or call('PTTL', P .. 'w:' .. inc) ~= -1 then return end
  problem('worker ' .. inc .. ' has no lease, and would never be forgotten', function()
    call('PEXPIRE', P .. 'w:' .. inc, 3600000)
  end)
end

-- The counts of what is reserved are compared after the keys.
local function reserved_key(inc)
  if not is_known(inc) then
    problem('reservations are left of worker ' .. inc .. ', which has no lease', function()
      call('UNLINK', P .. 'rv:' .. inc)
    end)
    return
  end
  local fields = call('HKEYS', P .. 'rv:' .. inc)
  for at = 1, #fields, 1000 do
    local some, gone = {unpack(fields, at, math.min(at + 999, #fields))}, {}
    local active = call('HMGET', P .. 'a:' .. inc, unpack(some))
    local lost = call('HMGET', P .. 'x:' .. inc, unpack(some))
    for i, field in ipairs(some) do
      if not active[i] and not lost[i] then gone[#gone + 1] = field end
    end
    if #gone > 0 then
      problem('worker ' .. inc .. ' has reserved for ' .. #gone .. ' jobs that it does not hold',
        function() call('HDEL', P .. 'rv:' .. inc, unpack(gone)) end)
    end
  end
end

-- Images do not expire by themselves: im:BATCH tells who is to remove them.
local function image_key(name)
  local batch, index = string.match(name, '^([^/]+)/(%d+)')
  local key = P .. 'o:' .. name
  if not batch or call('PTTL', key) ~= -1 or call('HEXISTS', P .. 'im:' .. batch, index) == 1 then
    return
  end
  problem('image ' .. name .. ' would never be removed', function()
    call('PEXPIRE', key, 3600000)
  end)
end

local function images_key(batch)
  if there(batch) or (call('ZSCORE', P .. 'images', batch) or 'inf') ~= 'inf' then return end
  problem('images are left of batch ' .. batch .. ', which is gone', function()
    keep_images(batch, 0) -- they are removed as of any batch that has expired
  end)
end

local KEYS_LIKE = {
  ['o:'] = image_key, ['im:'] = images_key,
  ['w:'] = worker_key, ['rv:'] = reserved_key,
  ['dd:'] = request_key, ['dl:'] = leads_key, ['dw:'] = followers_key,
  ['a:'] = held('a:'), ['x:'] = held('x:'), ['r:'] = list_key, ['ur:'] = user_ring,
  ['b:'] = batch_key, ['d:'] = of_batch('d:'), ['mf:'] = of_batch('mf:'),
  ['bo:'] = operation, ['lg:'] = ledger_key,
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

-- --- A batch's lists in rings ---

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

local function rings_of(batch, user, paused)
  for _, list in ipairs(call('SMEMBERS', P .. 'ls:' .. batch)) do
    if list_parts(list) then
      local waits = not paused and call('LLEN', P .. 'r:' .. list) > 0
      ring_of(list, user, batch, waits and 1 or 0)
    end
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

-- --- One batch ---

-- A name without a batch. One whose keys have just expired is purged by the next tick.
local function no_batch()
  local ends = call('ZSCORE', P .. 'expiring', arg)
  if not call('ZSCORE', P .. 'batches', arg) or ends and tonumber(ends) < now + 1000 then return end
  problem('batch ' .. arg .. ' is among the batches, and there is no such batch', function()
    call('ZREM', P .. 'batches', arg)
    call('ZREM', P .. 'expiring', arg)
  end)
end

-- What is to go on by itself must be where ticks look for it.
local function waits_of(cancel, paused)
  if cancel and not call('ZSCORE', P .. 'cancelling', arg) then
    problem('batch ' .. arg .. ': it is being cancelled, and nobody would go on with that', function()
      call('ZADD', P .. 'cancelling', int(now), arg)
    end)
  end
  if (paused == 'account' or paused == 'fsck') and not call('ZSCORE', P .. 'held', arg) then
    problem('batch ' .. arg .. ': it is held back, and would not be tried again', function()
      call('ZADD', P .. 'held', int(now), arg)
    end)
  end
end

local function images_of(batch, ended)
  local key, score = P .. 'im:' .. batch, call('ZSCORE', P .. 'images', batch)
  local told = tonumber(call('HGET', key, 'bytes') or 0) or 0
  if told > 0 and not score then
    problem('batch ' .. batch .. ': its images are in no count', function()
      call('ZADD', P .. 'images', 'inf', batch)
      if ended then keep_images(batch, ended) end
    end)
  elseif score and score ~= 'inf' and not ended then
    problem('batch ' .. batch .. ': its images might be removed before it has ended', function()
      unkeep_images(batch)
    end)
  elseif score == 'inf' and ended then
    problem('batch ' .. batch .. ': its images are not among those of ended batches', function()
      keep_images(batch, ended)
    end)
  end
  if call('HLEN', key) > 10002 then return end
  local is = 0
  for _, value in ipairs(call('HVALS', key)) do
    is = is + tonumber(string.match(value, '^(%d+) %d+$') or 0)
  end
  if is ~= told then
    problem('batch ' .. batch .. ': bytes of images: ' .. int(is) .. ', counted ' .. int(told),
      function() call('HSET', key, 'bytes', int(is)) end)
  end
end

-- Of the inbox: each id is that of a job, or of something that was refused; and when all that its
-- end told of is there, it takes no more.
local function inbox_of(jobs, refused, seal_at, sealed)
  local told, is = tonumber(refused or 0) or -1, call('HLEN', P .. 'ids:' .. arg) - jobs
  if is ~= told then
    problem('batch ' .. arg .. ': things refused: ' .. is .. ', counted ' .. told,
      is >= 0 and function() call('HSET', P .. 'b:' .. arg, 'refused', is) end or nil)
  end
  seal_at = tonumber(seal_at)
  if sealed ~= '1' and (seal_at == jobs or seal_at == jobs + is) then
    problem('batch ' .. arg .. ': all that it waits for is there, and it has not noticed',
      function()
        call('HSET', P .. 'b:' .. arg, 'sealed', '1', 'total', jobs)
        finish_if_done(arg, now)
      end)
  end
end

local function batch_facts()
  local key = P .. 'b:' .. arg
  local b = call('HMGET', key, 'hw', 'open', 'completed', 'failed', 'cancelled', 'ev', 'sealed',
    'total', 'done_at', 'nonce', 'user', 'paused', 'cancel', 'inbox', 'refused', 'seal_at')
  if not b[10] then
    no_batch()
    return '0'
  end
  delayed_of(arg)
  rings_of(arg, b[11] or '', b[12])
  waits_of(b[13], b[12])
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
  if b[14] then inbox_of(n[1], b[15], b[16], b[7]) end
  if b[9] or n[2] > 0 or b[7] ~= '1' then images_of(arg, b[9]) end
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

local did = ({keys = keys, batch = batch_facts})[what]()
return {1, did, out}
