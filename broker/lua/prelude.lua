-- prelude.lua - what every script of the queue begins with. KEYS[1] is always the queue's
-- `genfarm:{QUEUE}:cfg`, so that a cluster can redirect; all other keys carry the same tag and
-- are built from its prefix. Clocks are the server's. See broker/README.md for the keys.
--
-- KEYS[2] never exists. While a cluster moves the slot, its keys are on two nodes, and a script
-- would fail half-way at the first one that is not on its own; a script of several keys of which
-- one is missing is refused before it begins (TRYAGAIN), and is sent again until the move is over.
local call = redis.call
local P = string.sub(KEYS[1], 1, -4)
local TICKET = 10 -- bytes: index u32, run u16, attempts u8, lost u8, limited u16, big-endian

local function now_ms()
  local t = call('TIME')
  return t[1] * 1000 + math.floor(t[2] / 1000)
end

-- tostring() would print a large number as 1.795e+15.
local function int(n)
  return string.format('%.0f', n)
end

-- Ticks come at most a second apart while there is a worker. After a longer gap the server may
-- have been away, see tick.lua.
local GAP = 3000

-- A lease holds while its end lies ahead. Where it is past, but nobody has ticked for too long or
-- the hold after such a gap is still on, the server may have been away and not the worker. One
-- that ends at 0 was ended by who knows that its worker is dead, see void.lua.
local function alive(inc, now)
  local ends = tonumber(call('ZSCORE', P .. 'leases', inc) or 0)
  if ends <= 0 then return false end
  if ends > now then return true end
  if call('HEXISTS', P .. 'w:' .. inc, 'reaped') == 1 then return false end
  local c = call('HMGET', KEYS[1], 'last_tick', 'hold')
  return now - tonumber(c[1] or now) > GAP or now < tonumber(c[2] or 0)
end

-- An active job is: its state, ticket, and list; of one that was sent by a worker of several projects
-- a NUL and the project follow. States: 'c' claimed; 's' sent; 'f' sent, and it is to fail when
-- nobody knows what came of that, instead of being done again.
local function was_sent(value)
  local state = string.byte(value)
  return state == 115 or state == 102
end

local function list_of(value)
  local nul = string.find(value, '\0', 2 + TICKET, true)
  return string.sub(value, 2 + TICKET, nul and nul - 1)
end

local function project_of(value)
  local nul = string.find(value, '\0', 2 + TICKET, true)
  return nul and string.sub(value, nul + 1)
end

-- A ready list is named PRIORITY/LANE/MODEL/BATCH.
local function list_parts(list)
  return string.match(list, '^(%d/([^/]+/[^/]+))/(.+)$') -- ring, lane/model, batch
end

local function ring_in(list, user)
  local ring, _, batch = list_parts(list)
  if call('RPUSH', P .. 'ur:' .. ring .. '/' .. user, batch) == 1 then
    call('RPUSH', P .. 'ring:' .. ring, user)
  end
end

local function ring_out(list, user)
  local ring, _, batch = list_parts(list)
  local key = P .. 'ur:' .. ring .. '/' .. user
  call('LREM', key, 1, batch)
  if call('LLEN', key) == 0 then call('LREM', P .. 'ring:' .. ring, 1, user) end
end

-- Changes the number of jobs that may be claimed of a lane and model; nothing is kept at zero.
local function count_ready(lane_model, by)
  if by ~= 0 and call('HINCRBY', P .. 'ready', lane_model, by) <= 0 then
    call('HDEL', P .. 'ready', lane_model)
  end
end

-- The pairs LANE/MODEL, jobs that may be claimed. Of a queue that is paused nothing may: workers
-- would claim again and again.
local function claimable()
  if call('HEXISTS', KEYS[1], 'paused') == 1 then return {} end
  return call('HGETALL', P .. 'ready')
end

-- Wakes up to n idle workers. Tokens nobody takes do no harm and go after five seconds.
local function wake(n)
  local key = P .. 'wake'
  local have = call('LLEN', key)
  if have >= 16 then return end
  for _ = 1, math.min(n, 16 - have) do call('RPUSH', key, '1') end
  call('PEXPIRE', key, 5000)
end

-- Puts tickets (1 to 1,000) at the end, or the front, of a ready list.
local function push(list, user, paused, tickets, front)
  local len = call(front and 'LPUSH' or 'RPUSH', P .. 'r:' .. list, unpack(tickets))
  if paused then return end
  if len == #tickets then ring_in(list, user) end
  local _, lane_model = list_parts(list)
  count_ready(lane_model, #tickets)
  wake(#tickets)
end

-- Puts tickets into the batch's delayed set; `delayed` holds each batch's earliest.
local function delay(batch, due, members)
  local args = {}
  for i, m in ipairs(members) do
    args[2 * i - 1] = due[i]
    args[2 * i] = m
  end
  call('ZADD', P .. 'd:' .. batch, unpack(args))
  local first = call('ZRANGE', P .. 'd:' .. batch, 0, 0, 'WITHSCORES')
  call('ZADD', P .. 'delayed', first[2], batch)
end

-- States of jobs, two bits each, the first in the highest bits: 0 open, 1 completed, 2 failed,
-- 3 cancelled. Jobs of one call mostly stand together, and then a range of bytes costs a tenth of
-- what BITFIELD does; that would count as a write even to read, and be refused when memory is
-- full.
local UNIT = {[0] = 64, 16, 4, 1} -- of a job's state within its byte
local NEAR = 64                   -- jobs that a range may span for each that is asked for
local floor = math.floor

local function range_of(indexes)
  local lo, hi = indexes[1], indexes[1]
  for _, i in ipairs(indexes) do
    if i < lo then lo = i elseif i > hi then hi = i end
  end
  return floor(lo / 4), floor(hi / 4), hi - lo < math.min(NEAR * #indexes, 16384)
end

local function states(batch, indexes)
  local out, n = {}, #indexes
  local first, last, near = range_of(indexes)
  if not near then
    local args = {}
    for k, i in ipairs(indexes) do
      args[3 * k - 2], args[3 * k - 1], args[3 * k] = 'GET', 'u2', '#' .. i
    end
    return call('BITFIELD_RO', P .. 'st:' .. batch, unpack(args))
  end
  local bytes = call('GETRANGE', P .. 'st:' .. batch, first, last)
  if not string.find(bytes, '[^%z]') then
    for k = 1, n do out[k] = 0 end
    return out
  end
  for k = 1, n do
    local i = indexes[k]
    local byte = string.byte(bytes, floor(i / 4) - first + 1) or 0
    out[k] = floor(byte / UNIT[i % 4]) % 4
  end
  return out
end

local function set_states(batch, indexes, to)
  local first, last, near = range_of(indexes)
  local key = P .. 'st:' .. batch
  if not near then
    local args = {}
    for k, i in ipairs(indexes) do
      args[4 * k - 3], args[4 * k - 2], args[4 * k - 1], args[4 * k] = 'SET', 'u2', '#' .. i, to[k]
    end
    call('BITFIELD', key, unpack(args))
    return
  end
  local bytes = {string.byte(call('GETRANGE', key, first, last), 1, -1)}
  for at = #bytes + 1, last - first + 1 do bytes[at] = 0 end
  for k, i in ipairs(indexes) do
    local at, unit = floor(i / 4) - first + 1, UNIT[i % 4]
    bytes[at] = bytes[at] + (to[k] - floor(bytes[at] / unit) % 4) * unit
  end
  call('SETRANGE', key, first, string.char(unpack(bytes)))
end

-- Which of these jobs need nothing more: they have ended, or were opened again since as a later
-- run (`rn` holds the runs above 1), or the batch (run: its HGET) is gone.
local function over(batch, run, indexes, runs)
  local out = {}
  local state = run and states(batch, indexes)
  local later = run and (tonumber(run) or 1) > 1 and call('HMGET', P .. 'rn:' .. batch, unpack(indexes))
  for i = 1, #indexes do
    out[i] = not state or state[i] ~= 0 or (later and tonumber(later[i] or 1) ~= runs[i]) or false
  end
  return out
end

local TYPE = {
  submitted = 1, completed = 2, failed = 3, cancelled = 4, retrying = 5, unknown = 6,
  reopened = 7, blocked = 8, unblocked = 9, step = 10, batch_done = 11,
}

-- An event: type u8, run u16, index u32, time u64 (ms), length of id u16, id, msgpack map.
local function event(kind, run, index, now, id, map)
  local body = map and cmsgpack.pack(map) or '\128'
  return struct.pack('>BI2I4I8I2', TYPE[kind], run, index, now, #id) .. id .. body
end

-- Appends events to the batch's stream under dense ids N-0.
local function emit(batch, events)
  local n = call('HINCRBY', P .. 'b:' .. batch, 'ev', #events) - #events
  local key = P .. 'ev:' .. batch
  for i, e in ipairs(events) do
    call('XADD', key, n + i .. '-0', 'e', e)
  end
end

-- An input is: digest u32, length of id u16, id, msgpack map.
local function input_id(record)
  if not record then return '' end
  local n = struct.unpack('>I2', record, 5)
  return string.sub(record, 7, 6 + n)
end

-- Counts bytes of inputs of a batch that has not ended.
local function add_bytes(batch, n)
  call('HINCRBY', P .. 'b:' .. batch, 'in_bytes', n)
  call('INCRBY', P .. 'queued', n)
end

local KEYS_OF_BATCH = {'b:', 'in:', 'st:', 'ev:', 'ids:', 'ls:', 'rn:', 'oc:'}

-- Removes what waits of a batch: its ready lists and delayed tickets.
local function drop_lists(batch, user, paused)
  for _, list in ipairs(call('SMEMBERS', P .. 'ls:' .. batch)) do
    local n = call('LLEN', P .. 'r:' .. list)
    if n > 0 and not paused then
      ring_out(list, user)
      local _, lane_model = list_parts(list)
      count_ready(lane_model, -n)
    end
    if n > 0 then call('UNLINK', P .. 'r:' .. list) end
  end
  call('UNLINK', P .. 'd:' .. batch, P .. 'mf:' .. batch)
  call('ZREM', P .. 'delayed', batch)
end

-- Images that nobody has fetched yet: `images` has when their batch ended, see images.lua.
local function keep_images(batch, ended)
  local bytes = call('HGET', P .. 'im:' .. batch, 'bytes')
  if not bytes then return end
  local before = call('ZSCORE', P .. 'images', batch)
  call('ZADD', P .. 'images', int(ended), batch)
  if not before or before == 'inf' then call('INCRBY', P .. 'kept', bytes) end
end

-- The batch is not one that has ended, or no longer.
local function unkeep_images(batch)
  local before = call('ZSCORE', P .. 'images', batch)
  if not before or before == 'inf' then return end
  call('ZADD', P .. 'images', 'inf', batch)
  local bytes = call('HGET', P .. 'im:' .. batch, 'bytes')
  if bytes and call('DECRBY', P .. 'kept', bytes) <= 0 then call('DEL', P .. 'kept') end
end

-- Ends a batch whose last open job has gone: writes batch_done and starts its retention. Tickets
-- of jobs that were cancelled one by one may still be about; they go, too.
local function finish_if_done(batch, now)
  local key = P .. 'b:' .. batch
  local b = call('HMGET', key, 'sealed', 'open', 'completed', 'failed', 'cancelled', 'hw', 'cost',
    'unknown', 'keep', 'run', 'done_at', 'user', 'paused', 'in_bytes', 'refused')
  if b[1] ~= '1' or tonumber(b[2]) ~= 0 or b[11] then return end
  drop_lists(batch, b[12], b[13])
  emit(batch, {event('batch_done', tonumber(b[10]), 0, now, '', {
    completed = tonumber(b[3]), failed = tonumber(b[4]), cancelled = tonumber(b[5]),
    total = tonumber(b[6]), cost = tonumber(b[7]), possible_double_bill = tonumber(b[8]),
    refused = tonumber(b[15]),
  })})
  call('HSET', key, 'done_at', int(now))
  if call('DECRBY', P .. 'queued', b[14] or 0) <= 0 then call('DEL', P .. 'queued') end
  local ends = now + tonumber(b[9]) * 1000
  call('ZADD', P .. 'expiring', int(ends), batch)
  for _, k in ipairs(KEYS_OF_BATCH) do call('PEXPIREAT', P .. k .. batch, int(ends)) end
  keep_images(batch, now)
end

-- What calls cost and gave, as settle takes it; sums up under the names of the batch's counters.
local FIGURES = {'cost', 'in_tokens', 'out_tokens', 'bytes', 'images', 'unknown', 'retries', 'calls'}
local AT = {}
for i, name in ipairs(FIGURES) do AT[name] = i end
local UNKNOWN_AT = 23 -- the byte of `unknown` in figures

local function add_figures(sums, figures)
  local f = {struct.unpack('>i8I4I4I4I2BBB', figures)}
  for i = 1, #FIGURES do
    if f[i] ~= 0 then sums[i] = (sums[i] or 0) + f[i] end
  end
end

local function count_figures(batch, sums)
  for i, n in pairs(sums) do call('HINCRBY', P .. 'b:' .. batch, FIGURES[i], int(n)) end
end

-- Takes a batch's lists out of their rings (why: who holds it back), or brings them in again: then
-- whoever mends it (see mend.lua) no longer knows where its jobs are.
local function hold(batch, user, why)
  local key = P .. 'b:' .. batch
  if why then call('HSET', key, 'paused', why) else call('HDEL', key, 'paused', 'mending') end
  for _, list in ipairs(call('SMEMBERS', P .. 'ls:' .. batch)) do
    local n = call('LLEN', P .. 'r:' .. list)
    local _, lane_model = list_parts(list)
    if n > 0 and why then
      ring_out(list, user)
      count_ready(lane_model, -n)
    elseif n > 0 then
      ring_in(list, user)
      count_ready(lane_model, n)
      wake(n)
    end
  end
end

-- A job whose call can never fit its batch's budget, whatever comes of the calls under way, is set
-- aside: delayed until ASIDE, and named in mf:BATCH, until the budget is raised or the batch resumed.
local ASIDE = 4000000000000000 -- ms

-- What one more call may cost at most when all calls under way cost nothing; nil: there is no
-- budget. It never grows unless somebody raises that.
local function most_left(batch)
  local b = call('HMGET', P .. 'b:' .. batch, 'budget', 'cost', 'spent')
  return b[1] and tonumber(b[1]) - tonumber(b[2] or 0) - tonumber(b[3] or 0) or nil
end

-- Holds a batch back of which nothing else is open.
local function hold_aside(batch, now)
  local key, n = P .. 'b:' .. batch, call('HLEN', P .. 'mf:' .. batch)
  if n == 0 then return end
  local b = call('HMGET', key, 'open', 'sealed', 'paused', 'user', 'run')
  local open = tonumber(b[1] or 0)
  if open == 0 or n < open or b[2] ~= '1' or (b[3] and b[3] ~= 'account') then return end
  if b[3] then call('HSET', key, 'paused', 'budget') else hold(batch, b[4], 'budget') end
  emit(batch, {event('blocked', tonumber(b[5]), 0, now, '', {code = 'budget', group = 'budget',
    message = 'the budget has no room for one more call'})})
end

-- Makes some of the jobs ready again that were set aside. Returns how many.
local function recall(batch, user, paused)
  local key, aside = P .. 'd:' .. batch, P .. 'mf:' .. batch
  local members = call('ZRANGE', key, int(ASIDE), '+inf', 'BYSCORE', 'LIMIT', 0, 500)
  if #members == 0 then
    call('DEL', aside)
    return 0
  end
  local lists, indexes = {}, {}
  for i, m in ipairs(members) do
    local list = string.sub(m, 1 + TICKET)
    indexes[i] = struct.unpack('>I4', m)
    lists[list] = lists[list] or {}
    table.insert(lists[list], string.sub(m, 1, TICKET))
  end
  call('ZREM', key, unpack(members))
  call('HDEL', aside, unpack(indexes))
  call('ZREM', P .. 'delayed', batch)
  local first = call('ZRANGE', key, 0, 0, 'WITHSCORES')
  if first[2] then call('ZADD', P .. 'delayed', first[2], batch) end
  for list, tickets in pairs(lists) do push(list, user, paused, tickets) end
  return #members
end

-- Bookkeeping never stops a job: a key of the ledger that is of another type is passed over.
local function failed(reply)
  return type(reply) == 'table' and reply.err ~= nil
end

-- The same by day (of UTC), user, lane and model, for bills; kept for 400 days.
local DAY = 86400000

local function count_usage(user, lane_model, now, sums, ends)
  local key = P .. 'use:' .. int(floor(now / DAY))
  local stem, any = user .. '/' .. lane_model .. '/', false
  for i, n in pairs(sums) do
    if failed(redis.pcall('HINCRBY', key, stem .. FIGURES[i], int(n))) then return end
    any = true
  end
  for name, n in pairs(ends or {}) do
    if n > 0 then
      if failed(redis.pcall('HINCRBY', key, stem .. name, n)) then return end
      any = true
    end
  end
  if any and call('TTL', key) < 0 then call('PEXPIRE', key, 400 * DAY) end
end

-- The ledger: an entry for each call, in the list of its day. An entry is: version u8, time u64
-- (ms), figures (25 bytes, as they were counted), and a msgpack array, see broker/ledger.h. `lg`
-- holds the bytes of each day, and what is not there: lost, gone:DAY. Nothing fails for it: what
-- cannot be written waits in `late`, and tick brings it to its day.
local FIGURES_SIZE = 25
local TOLD_AT = FIGURES_SIZE + 9 -- of figures as they are sent: behind them the call's id, then this

local function ledger_entry(now, figures, detail)
  return '\1' .. struct.pack('>I8', now) .. figures .. detail
end

local function log_calls(now, entries)
  local n, size, day = #entries, 0, int(floor(now / DAY))
  if n == 0 then return end
  for i = 1, n do size = size + #entries[i] end
  if failed(redis.pcall('RPUSH', P .. 'lg:' .. day, unpack(entries))) then
    day = 'late'
    if failed(redis.pcall('RPUSH', P .. 'late', unpack(entries))) then day, size = 'lost', n end
  end
  redis.pcall('HINCRBY', P .. 'lg', day, size)
end

-- Frees what was reserved in a batch's budget for calls of a worker; gives how much for each.
local function unreserve(batch, inc, fields)
  local amounts, sum = call('HMGET', P .. 'rv:' .. inc, unpack(fields)), 0
  for i = 1, #fields do
    amounts[i] = tonumber(amounts[i] or 0)
    sum = sum + amounts[i]
  end
  if sum > 0 then
    call('HDEL', P .. 'rv:' .. inc, unpack(fields))
    call('HINCRBY', P .. 'b:' .. batch, 'reserved', int(-sum))
  end
  return amounts
end

-- Whether nobody has told of this call apart from its job yet; from now on somebody has.
local function first_told(batch, call_id)
  if call('SADD', P .. 'oc:' .. batch, call_id) == 0 then return false end
  local ttl = call('PTTL', P .. 'b:' .. batch)
  if ttl > 0 then call('PEXPIRE', P .. 'oc:' .. batch, ttl) end
  return true
end

-- Takes n jobs out of the count of ready and active ones that autoscalers read.
local function live_out(n)
  if n > 0 then call('LPOP', P .. 'live', n) end
end
