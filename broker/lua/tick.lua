-- tick - the farm's housekeeping, which every worker runs with jitter; bounded, idempotent.
-- Promotes what is due, takes jobs back from lost workers, goes on with cancellations, removes
-- batches whose retention has ended. Every part begins with a removal.
--
-- Who was away? A worker is lost when its lease has ended, unless it was the server that was away:
-- down, stopped, cut off. Then nobody ticked, but neither did anybody where all workers had died
-- and one comes back later; and nothing in the server tells the two apart, for one that was
-- stopped knows nothing of it. Workers that live can tell: whatever their lease, each renews as
-- soon as it is connected, and tries that every five seconds at the latest (common/redis.h). So
-- after a gap in the ticks nothing is reaped until all of them have had the time to come back,
-- RETURN; until then they go on as if nothing had been, see alive() in prelude.lua. Dead ones never
-- come: their jobs are taken back then, or when their lease ends if that is later. A lease of
-- which somebody knows that its worker is dead waits for nothing (void.lua).
--
-- ARGV  1 most jobs to move per part, up to 500  2 bytes the ledger may have
-- Returns {1, server ms, promoted, reaped, cancelled, purged}
local most = tonumber(ARGV[1])
local RETURN = 10000 -- ms: a pause of five seconds, and what is left of a try that began before

local c = call('HMGET', KEYS[1], 'last_tick', 'hold')
local none_before = tonumber(c[2] or 0) or 0
call('HDEL', KEYS[1], 'last_tick')
call('HSET', KEYS[1], 'last_tick', int(now))
if c[1] and now - tonumber(c[1]) > GAP then
  none_before = now + RETURN
  call('HSET', KEYS[1], 'hold', int(none_before))
end

local function promote()
  local moved = 0
  for _, batch in ipairs(call('ZRANGEBYSCORE', P .. 'delayed', 0, now, 'LIMIT', 0, 8)) do
    local key = P .. 'd:' .. batch
    local members = call('ZRANGEBYSCORE', key, 0, now, 'LIMIT', 0, math.max(1, most - moved))
    if #members > 0 then call('ZREM', key, unpack(members)) end
    local lists = {}
    for _, m in ipairs(members) do
      local list = string.sub(m, 1 + TICKET)
      lists[list] = lists[list] or {}
      table.insert(lists[list], string.sub(m, 1, TICKET))
    end
    call('ZREM', P .. 'delayed', batch)
    local first = call('ZRANGE', key, 0, 0, 'WITHSCORES')
    if first[2] then call('ZADD', P .. 'delayed', first[2], batch) end
    back(batch, lists)
    moved = moved + #members
    if moved >= most then break end
  end
  return moved
end

-- What it settled last is asked for by orphan.lua, when it comes back: perhaps after days.
local function forget_worker(inc)
  local key, week = P .. 'w:' .. inc, 7 * 86400000
  local settled = call('HGET', key, 'sset')
  call('DEL', key)
  call('HSET', key, 'reaped', '1', 'sset', settled or '0')
  call('PEXPIRE', key, week)
end

-- One rename voids every claim of the dead incarnation at once; the lease entry goes last.
local function reap()
  local first = call('ZRANGEBYSCORE', P .. 'leases', 0, now, 'WITHSCORES', 'LIMIT', 0, 1)
  local inc, ends = first[1], tonumber(first[2] or 0)
  if not inc or now < none_before and ends > 0 then return 0 end
  local op = call('HGET', P .. 'w:' .. inc, 'op')
  if op then -- its jobs are at the provider, whoever died
    local b = call('HMGET', P .. 'bo:' .. op, 'inc', 'until')
    if b[1] == inc and tonumber(b[2]) > now then
      set_free(op)
      return 1
    end
  end
  local from, to = P .. 'a:' .. inc, P .. 'x:' .. inc
  if call('EXISTS', to) == 0 and call('EXISTS', from) == 1 then call('RENAME', from, to) end
  local pairs_of = call('HRANDFIELD', to, math.min(most, 200), 'WITHVALUES') or {}
  local fields, all, batches = {}, {}, {}
  for i = 1, #pairs_of, 2 do
    fields[#fields + 1] = pairs_of[i]
    local value = pairs_of[i + 1]
    all[#all + 1] = value
    if string.byte(value) == 105 then -- 'i': taken from the inbox
      batches.inbox = batches.inbox or {}
      table.insert(batches.inbox, string.sub(value, 2))
    else
      local _, _, batch = list_parts(list_of(value))
      local name = 'b' .. batch
      batches[name] = batches[name] or {}
      table.insert(batches[name], value)
    end
  end
  if #fields > 0 then
    call('HDEL', to, unpack(fields))
    end_leads(inc, fields)
    spend(inc, fields, all)
  end
  call('HDEL', P .. 'w:' .. inc, 'seen')
  call('HSET', P .. 'w:' .. inc, 'reaped', '1')
  for name, values in pairs(batches) do
    if name == 'inbox' then
      call('LPUSH', P .. 'inbox', unpack(values))
    else
      recover(inc, string.sub(name, 2), values)
    end
  end
  if call('EXISTS', to) == 0 then
    if op then forget(op, inc) end
    forget_worker(inc)
    call('ZREM', P .. 'leases', inc)
    call('DEL', P .. 'rv:' .. inc, P .. 'dl:' .. inc)
  end
  return #fields
end

-- Batches whose user or project had no room, see held.lua; and those of which who mended them is
-- gone, see mend.lua.
local function try_held()
  for _, batch in ipairs(call('ZRANGEBYSCORE', P .. 'held', 0, now, 'LIMIT', 0, 8)) do
    call('ZREM', P .. 'held', batch)
    local b = call('HMGET', P .. 'b:' .. batch, 'paused', 'user')
    if b[1] == 'account' or b[1] == 'fsck' then hold(batch, b[2], nil); hold_aside(batch, now) end
  end
end

local function purge()
  local gone = 0
  call('ZREMRANGEBYSCORE', P .. 'cancelled', 0, now - 3600000)
  for _, batch in ipairs(call('ZRANGEBYSCORE', P .. 'expiring', 0, now, 'LIMIT', 0, 8)) do
    call('ZREM', P .. 'expiring', batch)
    call('ZREM', P .. 'batches', batch)
    for _, k in ipairs(KEYS_OF_BATCH) do call('UNLINK', P .. k .. batch) end
    keep_images(batch, 0) -- its images go first, a hundred jobs at a time
    gone = gone + 1
  end
  local batch = call('ZRANGEBYSCORE', P .. 'images', 0, 0, 'LIMIT', 0, 1)[1]
  if batch then gone = gone + drop_images(batch, 100, math.huge) end
  drop_spares(call('ZRANGEBYSCORE', P .. 'spares', 0, now, 'LIMIT', 0, 100))
  return gone
end

-- The first entries that had to wait go to the day they are of.
local function log_late(late)
  local entries, size, day = {}, 0, nil
  for _, e in ipairs(call('LRANGE', P .. 'late', 0, 199)) do
    local of = #e > 9 and int(floor(struct.unpack('>I8', e, 2) / DAY)) or '0'
    if day and of ~= day then break end
    day, size = of, size + #e
    entries[#entries + 1] = e
  end
  if not day or failed(redis.pcall('LLEN', P .. 'lg:' .. day)) then return 0 end
  call('LPOP', P .. 'late', #entries)
  call('HINCRBY', P .. 'lg', 'late', int(-math.min(size, late)))
  call('RPUSH', P .. 'lg:' .. day, unpack(entries))
  call('HINCRBY', P .. 'lg', day, int(size))
  return #entries
end

-- The oldest entries go when there are too many bytes, or after 400 days.
local function trim_ledger()
  local all = redis.pcall('HGETALL', P .. 'lg')
  if failed(all) or #all == 0 then return 0 end
  local sum, oldest, size, late, last = 0, nil, 0, 0, floor(now / DAY) - 400
  for i = 1, #all, 2 do
    local day, n = tonumber(all[i]), tonumber(all[i + 1]) or 0
    local trimmed = tonumber(string.match(all[i], '^gone:(%d+)$'))
    if trimmed and trimmed < last then
      call('HDEL', P .. 'lg', all[i])
    elseif day then
      sum = sum + n
      if not oldest or day < oldest then oldest, size = day, n end
    elseif all[i] == 'late' then
      late = n
    end
  end
  if late > 0 and not failed(redis.pcall('LLEN', P .. 'late')) then return log_late(late) end
  if not oldest or not (oldest < last or sum > tonumber(ARGV[2])) then return 0 end
  local key, most = P .. 'lg:' .. int(oldest), 500
  local have = redis.pcall('LLEN', key)
  if oldest >= last and not failed(have) then -- no more than are too many, by their mean
    most = math.max(1, math.min(most, math.ceil((sum - tonumber(ARGV[2])) * have / math.max(1, size))))
  end
  local gone = redis.pcall('LPOP', key, most)
  if not gone or failed(gone) then -- there is nothing more
    call('HDEL', P .. 'lg', int(oldest))
    return 1
  end
  for _, e in ipairs(gone) do size = size - #e end
  call('HSET', P .. 'lg', int(oldest), int(math.max(0, size)))
  call('HINCRBY', P .. 'lg', 'gone:' .. int(oldest), #gone)
  return #gone
end

-- Followers of requests that had more of them than one call may wake.
local function wake_followers()
  local before = woken
  for _ = 1, math.min(20, call('LLEN', P .. 'wakes')) do
    if woken < MOST_WOKEN then rouse(call('LPOP', P .. 'wakes')) end
  end
  return woken - before
end

local promoted, reaped = promote(), reap()
promoted = promoted + wake_followers()
try_held()
local cancelled = 0
local batch = call('ZRANGE', P .. 'cancelling', 0, 0)[1]
if batch then cancelled = cancel_some(batch, most, now) end
return {1, now, promoted, reaped, cancelled, purge() + trim_ledger()}
