-- tally - counts of the queue, and what they are counts of: a bounded piece at a time, each at one
-- instant. Who audits adds the pieces up; a piece that was all there is can be compared as it is.
--
-- ARGV  1 'batches'  2 cursor  3 '1': only those that other counts are made of: they have not
--         ended, or have something reserved
--         Returns {1, next cursor or '0', {name, ...}}
-- or    1 'jobs'  2.. names of such batches, up to 1,000. Counts: live, queued, ready LANE/MODEL;
--         and batches: how many of the names have not ended, of all that have not
-- or    1 'reserved'  2 cursor  3.. names, up to 1,000. Counts: reserved BATCH
-- or    1 'images', 'spares'  2 cursor. Counts: stored and kept, or spare
--         Each returns {1, next cursor or '0', {count, what it is, what it is said to be, ...}}
-- or    1 'set'  2 count  3 what it was said to be  4 what it is: puts it right, if it is still said
--         so; of live up to 10,000 a call. Returns {1, what it is said to be now}; {0} it has moved
--
-- Cursors: ranks count down, for what is purged goes from the low ones; 2^53 is the first.
local what, out = ARGV[1], {}

local function number(v)
  return tonumber(v or 0) or 0
end

local function count(name, is, told)
  out[#out + 1] = name
  out[#out + 1] = int(is)
  out[#out + 1] = int(number(told))
end

-- Members of a zset of ranks below the cursor, `most` of them, and the next cursor.
local function page(key, cursor, most)
  local to = math.min(tonumber(cursor), call('ZCARD', key))
  local from = math.max(0, to - most)
  return to > 0 and call('ZRANGE', key, from, to - 1) or {}, int(from)
end

local function batches()
  local names, from = page(P .. 'batches', ARGV[2], 500)
  for _, batch in ipairs(names) do
    local b = call('HMGET', P .. 'b:' .. batch, 'nonce', 'done_at', 'reserved')
    if ARGV[3] ~= '1' or b[1] and (not b[2] or number(b[3]) ~= 0) then out[#out + 1] = batch end
  end
  return from
end

local function jobs()
  local live, queued, n, ready = 0, 0, 0, {}
  for i = 2, #ARGV do
    local b = call('HMGET', P .. 'b:' .. ARGV[i], 'nonce', 'open', 'paused', 'done_at', 'in_bytes')
    if b[1] then
      live = live + number(b[2])
      if not b[4] then
        n = n + 1
        queued = queued + number(b[5])
      end
      for _, list in ipairs(b[3] and {} or call('SMEMBERS', P .. 'ls:' .. ARGV[i])) do
        local _, lane_model = list_parts(list)
        local waiting = call('LLEN', P .. 'r:' .. list)
        if lane_model and waiting > 0 then ready[lane_model] = (ready[lane_model] or 0) + waiting end
      end
    end
  end
  count('batches', n, call('ZCARD', P .. 'batches') - call('ZCARD', P .. 'expiring'))
  count('live', live, call('LLEN', P .. 'live'))
  count('queued', queued, call('GET', P .. 'queued'))
  local told = call('HGETALL', P .. 'ready')
  for i = 1, #told, 2 do
    count('ready ' .. told[i], ready[told[i]] or 0, told[i + 1])
    ready[told[i]] = nil
  end
  for lane_model, waiting in pairs(ready) do count('ready ' .. lane_model, waiting, 0) end
  return '0'
end

-- Adds up what a worker has reserved, by the batches that are asked for.
local function add_reserved(inc, sums)
  local all = call('HGETALL', P .. 'rv:' .. inc)
  for at = 1, #all, 2000 do
    local fields = {}
    for i = at, math.min(at + 1999, #all), 2 do fields[#fields + 1] = all[i] end
    local active = call('HMGET', P .. 'a:' .. inc, unpack(fields))
    local lost = call('HMGET', P .. 'x:' .. inc, unpack(fields))
    for k, v in ipairs(active) do
      v = v or lost[k]
      local _, _, batch = list_parts(v and list_of(v) or '')
      if batch and sums[batch] then sums[batch] = sums[batch] + number(all[at + 2 * k - 1]) end
    end
  end
  return #all / 2
end

local function reserved()
  local sums, rank, n = {}, math.min(tonumber(ARGV[2]), call('ZCARD', P .. 'leases')), 0
  for i = 3, #ARGV do sums[ARGV[i]] = 0 end
  local first = math.max(0, rank - 1000)
  while rank > first and n < 5000 do
    rank = rank - 1
    n = n + add_reserved(call('ZRANGE', P .. 'leases', rank, rank)[1], sums)
  end
  for i = 3, #ARGV do
    count('reserved ' .. ARGV[i], sums[ARGV[i]], call('HGET', P .. 'b:' .. ARGV[i], 'reserved'))
  end
  return int(rank)
end

local function spares()
  local sum, entries, from = 0, page(P .. 'spares', ARGV[2], 5000)
  for _, entry in ipairs(entries) do sum = sum + number(string.match(entry, '^%d+')) end
  count('spare', sum, call('GET', P .. 'spare'))
  return from
end

-- Of all batches, and of those that have ended.
local function images()
  local stored, kept, names, from = 0, 0, page(P .. 'images', ARGV[2], 1000)
  for _, batch in ipairs(names) do
    local is = number(call('HGET', P .. 'im:' .. batch, 'bytes'))
    stored = stored + is
    if call('ZSCORE', P .. 'images', batch) ~= 'inf' then kept = kept + is end
  end
  count('stored', stored, call('GET', P .. 'stored'))
  count('kept', kept, call('GET', P .. 'kept'))
  return from
end

-- --- Putting right ---

local function set_live(told, is)
  if call('LLEN', P .. 'live') ~= told then return end
  if told > is then call('LPOP', P .. 'live', math.min(told - is, 10000)) end
  local ones = {}
  for i = 1, math.min(is - told, 10000) do
    ones[#ones + 1] = ''
    if #ones == 1000 or i == math.min(is - told, 10000) then
      call('RPUSH', P .. 'live', unpack(ones))
      ones = {}
    end
  end
  return call('LLEN', P .. 'live')
end

local function set_key(name)
  return function(told, is)
    if number(call('GET', P .. name)) ~= told then return end
    if is == 0 then call('DEL', P .. name) else call('SET', P .. name, int(is)) end
    return is
  end
end

local function set_field(key, field, told, is)
  if number(call('HGET', key, field)) ~= told then return end
  call('HDEL', key, field)
  if is ~= 0 then call('HSET', key, field, int(is)) end
  return is
end

local function set()
  local kind, name = string.match(ARGV[2], '^(%a+) ?(.*)$')
  local told, is = tonumber(ARGV[3]), tonumber(ARGV[4])
  if kind == 'ready' then return set_field(P .. 'ready', name, told, is) end
  if kind == 'reserved' then
    return call('EXISTS', P .. 'b:' .. name) == 1 and set_field(P .. 'b:' .. name, kind, told, is)
  end
  local how = {live = set_live, queued = set_key('queued'), stored = set_key('stored'),
    kept = set_key('kept'), spare = set_key('spare')}
  return how[kind] and how[kind](told, is)
end

if what == 'set' then
  local now = set()
  return now and {1, now} or {0}
end
local did = ({batches = batches, jobs = jobs, reserved = reserved, images = images,
  spares = spares})[what]()
return {1, did, out}
