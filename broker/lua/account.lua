-- account - what users and projects may use by day and month (UTC), over all queues: calls, images
-- and USD. What a call takes at worst is reserved before it is sent, so that however many workers
-- send, no limit is passed; what it took is told afterwards. Calls whose outcome is unknown, and
-- those of workers that were lost, stay used at their worst.
--
-- KEYS  1 genfarm:{budget}:cfg  2 genfarm:{budget}:none, which never exists, see prelude.lua
--   a:NAME    hash of an account, "user:ann" or "project:default": spec; day, month, of which the
--             numbers are; by period d, m: used c, i, u (calls, images, millionths of USD), x (of u,
--             of unknown outcome), reserved rc, ri, ru
--   limited   set of the accounts that have a spec
--   r:INC     hash of the calls that an incarnation has reserved for: number -> "day month micro
--             user project"; n, the number of what it told last. With n alone, when its worker has
--             left or was lost, it stays for a day: what it told may be sent again
--   leases    zset of incarnation by the end of its lease, ms; cfg holds last and hold, as a queue's
--
-- ARGV  1 'reserve'  2 incarnation  3 lease, ms  4 accounts k, then their names
--       then, up to 500 times, number, places of user and project among the names, worst micro
--       (-1: not known)
--         Returns {1, day, marks, k verdicts}: the day (since 1970-01-01 UTC) that is reserved of, or
--         the first, where some were reserved before; a mark a call, '1' reserved, 'f' nothing limits
--         it (and nothing was reserved), 'w' there is no room until calls under way have ended, 'b'
--         there is none in this period, 'u' its USD are limited, and what it may cost is not known. A
--         verdict is '' (no limit), '-', or of what has no room: "WHAT/PERIOD ALLOWED USED UNTIL" (ms)
-- or    1 'tell'  2 incarnation  3 lease, ms  4 number of this request, rising  5 accounts k
--       then k times name, calls, images, micro, micro unknown, and 0: of calls that had reserved
--       nothing; or the day in which was told before what these figures correct: they count in
--       that day, and its month, alone
--       then, up to 500 times, number, calls, images, micro, '1' when the outcome is unknown: of
--       calls that had. Returns {1}
-- or    1 'keep'  2 incarnation  3 lease, ms: prolongs it, and turns what lost workers have reserved
--       into used. Returns {1, calls so ended}
-- or    1 'leave'  2 incarnation: it has told everything, and comes no more. Returns {1}
-- or    1 'show'  2 name. Returns {1, ms, spec, end of the day, of the month, then of each period: c,
--       i, u, x, rc, ri, ru}
-- or    1 'list'. Returns {1, names...} of accounts that have a spec
-- or    1 'set'  2 name  3 spec: "usd=25000000/month,images=1000/day", '' clears. Returns {1}
-- or    1 'check'  2 '1': mend. Compares what is reserved with the calls it is for. Returns {1,
--       problems...}
local call = redis.call
local P, op = string.sub(KEYS[1], 1, -4), ARGV[1]
local DAY, floor = 86400000, math.floor
local t = call('TIME')
local now = t[1] * 1000 + floor(t[2] / 1000)
local function int(n)
  return string.format('%.0f', n)
end

-- The month of a day, as years * 12 + months, and the first day of a month; days count from
-- 1970-01-01. H. Hinnant, "chrono-compatible low-level date algorithms".
local function month_of(day)
  local z = day + 719468
  local era = floor(z / 146097)
  local doe = z - era * 146097
  local yoe = floor((doe - floor(doe / 1460) + floor(doe / 36524) - floor(doe / 146096)) / 365)
  local mp = floor((5 * (doe - (365 * yoe + floor(yoe / 4) - floor(yoe / 100))) + 2) / 153)
  local m = mp < 10 and mp + 3 or mp - 9
  return (yoe + era * 400 + (m <= 2 and 1 or 0)) * 12 + m - 1
end
local function first_day(month)
  local y, m = floor(month / 12), month % 12 + 1
  if m <= 2 then y = y - 1 end
  local era = floor(y / 400)
  local yoe = y - era * 400
  local doy = floor((153 * (m + (m > 2 and -3 or 9)) + 2) / 5)
  return era * 146097 + yoe * 365 + floor(yoe / 4) - floor(yoe / 100) + doy - 719468
end

local today = floor(now / DAY)
local PERIOD = {
  {name = 'day', key = 'd', is = today, ends = (today + 1) * DAY},
  {name = 'month', key = 'm', is = month_of(today)},
}
PERIOD[2].ends = first_day(PERIOD[2].is + 1) * DAY
local PARTS = {'c', 'i', 'u', 'x', 'rc', 'ri', 'ru'}
local UNIT = {calls = 'c', images = 'i', usd = 'u'}

local FIELDS = {'spec', 'day', 'month'}
for _, p in ipairs(PERIOD) do
  for _, part in ipairs(PARTS) do FIELDS[#FIELDS + 1] = p.key .. part end
end

-- Numbers of a period that is over are forgotten.
local accounts = {}
local function account(name)
  local a = accounts[name]
  if a then return a end
  local f = call('HMGET', P .. 'a:' .. name, unpack(FIELDS))
  a = {spec = f[1] or '', limits = {}}
  for i, p in ipairs(PERIOD) do
    local of = {}
    for k, part in ipairs(PARTS) do
      of[part] = tonumber(f[1 + i]) == p.is and tonumber(f[3 + (i - 1) * #PARTS + k]) or 0
    end
    a[i] = of
    for what, n, per in string.gmatch(a.spec, '(%a+)=(%d+)/(%a+)') do
      if per == p.name and UNIT[what] then
        a.limits[#a.limits + 1] = {what = what, unit = UNIT[what], most = tonumber(n), at = i}
      end
    end
  end
  accounts[name] = a
  return a
end

local function save()
  for name, a in pairs(accounts) do
    if a.dirty then
      local args = {'day', int(PERIOD[1].is), 'month', int(PERIOD[2].is)}
      for i, p in ipairs(PERIOD) do
        for _, part in ipairs(PARTS) do
          args[#args + 1] = p.key .. part
          args[#args + 1] = int(a[i][part])
        end
      end
      call('HSET', P .. 'a:' .. name, unpack(args))
      -- who has no limit, and nothing used for so long, is forgotten
      if a.spec == '' then call('PEXPIRE', P .. 'a:' .. name, 62 * DAY) end
    end
  end
end

-- `day`: of which it is; 0: today.
local function use(name, calls, images, micro, unknown, day)
  local a = account(name)
  if day == 0 then day = today end
  a.dirty = true
  for i, of in ipairs({day, month_of(day)}) do
    if of == PERIOD[i].is then
      a[i].c, a[i].i = math.max(0, a[i].c + calls), math.max(0, a[i].i + images)
      a[i].u, a[i].x = math.max(0, a[i].u + micro), math.max(0, a[i].x + unknown)
    end
  end
end

local function hold_back(name, by, micro, day, month)
  local a = account(name)
  a.dirty = true
  for i, of in ipairs({day, month}) do
    if of == PERIOD[i].is then
      a[i].rc = math.max(0, a[i].rc + by)
      a[i].ri = math.max(0, a[i].ri + by)
      a[i].ru = math.max(0, a[i].ru + by * micro)
    end
  end
end

-- The end of a call that was reserved for: what it took counts in the periods it was reserved in.
local function finish(value, calls, images, micro, unknown)
  local day, month, worst, user, project = string.match(value, '^(%d+) (%d+) (%d+) (%S+) (%S+)$')
  if not day then return end
  worst, day, month = tonumber(worst), tonumber(day), tonumber(month)
  if unknown then images, micro = 1, worst end
  for _, name in ipairs({user, project}) do
    hold_back(name, -1, worst, day, month)
    local a = account(name)
    for i, of in ipairs({day, month}) do
      if of == PERIOD[i].is then
        a[i].c, a[i].i, a[i].u = a[i].c + calls, a[i].i + images, a[i].u + micro
        if unknown then a[i].x = a[i].x + micro end
      end
    end
  end
end

local function lease(inc, ms)
  call('ZREM', P .. 'leases', inc) -- first, as a queue's renew
  call('ZADD', P .. 'leases', int(now + ms), inc)
end

-- --- Before a call ---

-- '1', 'w', 'b' or 'u'; what refuses for good becomes the account's verdict.
local function room(names, micro)
  local need, mark = {c = 1, i = 1, u = micro}, '1'
  for _, name in ipairs(names) do
    local a = account(name)
    for _, l in ipairs(a.limits) do
      local of, takes = a[l.at], need[l.unit]
      if takes < 0 then return 'u' end
      if of[l.unit] + takes > l.most then
        mark = 'b'
        a.verdict = l.what .. '/' .. PERIOD[l.at].name .. ' ' .. int(l.most) .. ' ' ..
          int(of[l.unit]) .. ' ' .. int(PERIOD[l.at].ends)
      elseif of[l.unit] + of['r' .. l.unit] + takes > l.most and mark == '1' then
        mark = 'w'
      end
    end
  end
  return mark
end

local function reserve()
  local inc, k, names = ARGV[2], tonumber(ARGV[4]), {}
  for i = 1, k do names[i] = ARGV[4 + i] end
  local marks, kept, had, first = {}, {}, {}, PERIOD[1].is
  local numbers = {}
  for i = 5 + k, #ARGV, 4 do numbers[#numbers + 1] = ARGV[i] end
  if #numbers > 0 then had = call('HMGET', P .. 'r:' .. inc, unpack(numbers)) end
  for n = 1, #numbers do
    local at = 5 + k + 4 * (n - 1)
    local user, project = names[tonumber(ARGV[at + 1])], names[tonumber(ARGV[at + 2])]
    local micro = tonumber(ARGV[at + 3])
    local free = #account(user).limits == 0 and #account(project).limits == 0
    marks[n] = had[n] and '1' or free and 'f' or room({user, project}, micro)
    if had[n] then first = math.min(first, tonumber(string.match(had[n], '^%d+'))) end
    if marks[n] == '1' and not had[n] then
      micro = math.max(0, micro)
      hold_back(user, 1, micro, PERIOD[1].is, PERIOD[2].is)
      hold_back(project, 1, micro, PERIOD[1].is, PERIOD[2].is)
      kept[#kept + 1] = numbers[n]
      kept[#kept + 1] = int(PERIOD[1].is) .. ' ' .. int(PERIOD[2].is) .. ' ' .. int(micro) .. ' ' ..
        user .. ' ' .. project
    end
  end
  local out = {1, first, table.concat(marks)}
  for i, name in ipairs(names) do
    local a = account(name)
    out[3 + i] = a.verdict or (#a.limits > 0 and '-' or '')
  end
  if #kept > 0 then
    call('HSET', P .. 'r:' .. inc, unpack(kept)) -- refused over maxmemory, before anything changed
    save()
    lease(inc, ARGV[3])
  end
  return out
end

-- --- After it ---

local function tell()
  local inc, number, k = ARGV[2], tonumber(ARGV[4]), tonumber(ARGV[5])
  local key = P .. 'r:' .. inc
  local last = tonumber(call('HGET', key, 'n') or 0)
  if number > last then
    for i = 6, 5 + 6 * k, 6 do
      use(ARGV[i], tonumber(ARGV[i + 1]), tonumber(ARGV[i + 2]), tonumber(ARGV[i + 3]),
        tonumber(ARGV[i + 4]), tonumber(ARGV[i + 5]))
    end
  end
  local numbers, places = {}, {}
  for i = 6 + 6 * k, #ARGV, 5 do
    numbers[#numbers + 1] = ARGV[i]
    places[#numbers] = i
  end
  local had = #numbers > 0 and call('HMGET', key, unpack(numbers)) or {}
  for n, i in ipairs(places) do
    if had[n] then
      finish(had[n], tonumber(ARGV[i + 1]), tonumber(ARGV[i + 2]), tonumber(ARGV[i + 3]),
        ARGV[i + 4] == '1')
    end
  end
  call('HDEL', key, 'n', unpack(numbers)) -- a removal first: the rest is then allowed over maxmemory
  call('HSET', key, 'n', int(math.max(number, last)))
  save()
  lease(inc, ARGV[3])
  return {1}
end

-- As in a queue's tick: after a gap the server was away, not the workers.
local function may_reap(ms)
  local c = call('HMGET', KEYS[1], 'last', 'hold')
  call('HDEL', KEYS[1], 'last')
  call('HSET', KEYS[1], 'last', int(now))
  local hold = tonumber(c[2] or 0)
  if not c[1] or now - tonumber(c[1]) > ms then
    hold = now + ms
    call('HSET', KEYS[1], 'hold', int(hold))
  end
  return now >= hold
end

-- Gives up the lease of an incarnation that has no calls under way.
local function part_with(inc)
  local key = P .. 'r:' .. inc
  if call('HLEN', key) > call('HEXISTS', key, 'n') then return end
  call('ZREM', P .. 'leases', inc)
  call('PEXPIRE', key, DAY)
end

-- Turns at most so many of a lost worker's calls into used ones. Returns how many.
local function end_lost(inc, most)
  local key, gone = P .. 'r:' .. inc, {}
  local all = call('HRANDFIELD', key, most + 1, 'WITHVALUES') or {}
  for i = 1, #all, 2 do
    if all[i] ~= 'n' and #gone < most then
      gone[#gone + 1] = all[i]
      finish(all[i + 1], 1, 1, 0, true)
    end
  end
  if #gone > 0 then call('HDEL', key, unpack(gone)) end
  part_with(inc)
  return #gone
end

local function keep()
  local ms, ended = tonumber(ARGV[3]), 0
  if call('PERSIST', P .. 'r:' .. ARGV[2]) == 1 or call('EXISTS', P .. 'r:' .. ARGV[2]) == 1 then
    lease(ARGV[2], ms)
  end
  if not may_reap(ms) then return {1, 0} end
  for _, inc in ipairs(call('ZRANGEBYSCORE', P .. 'leases', 0, now, 'LIMIT', 0, 16)) do
    if ended < 200 then ended = ended + end_lost(inc, 200 - ended) end
  end
  save()
  return {1, ended}
end

local function leave()
  part_with(ARGV[2])
  return {1}
end

-- --- For people ---

local function show()
  local a = account(ARGV[2])
  local out = {1, now, a.spec, int(PERIOD[1].ends), int(PERIOD[2].ends)}
  for i = 1, 2 do
    for _, part in ipairs(PARTS) do out[#out + 1] = int(a[i][part]) end
  end
  return out
end

local function list()
  local out = {1}
  for _, name in ipairs(call('SMEMBERS', P .. 'limited')) do out[#out + 1] = name end
  return out
end

local function set()
  local key = P .. 'a:' .. ARGV[2]
  if ARGV[3] == '' then
    call('HDEL', key, 'spec')
    call('SREM', P .. 'limited', ARGV[2])
    call('PEXPIRE', key, 62 * DAY)
  else
    call('HSET', key, 'spec', ARGV[3])
    call('PERSIST', key)
    call('SADD', P .. 'limited', ARGV[2])
  end
  return {1}
end

-- What is reserved must be what the calls under way were reserved for, where the period still is.
local function check()
  local is, out, n = {}, {1}, 0
  for _, inc in ipairs(call('ZRANGE', P .. 'leases', 0, 999)) do
    n = n + call('HLEN', P .. 'r:' .. inc)
    if n > 20000 then return {1, 'more than 20000 calls are under way: reservations were not compared', '0'} end
    for _, v in ipairs(call('HVALS', P .. 'r:' .. inc)) do
      local day, month, worst, user, project = string.match(v, '^(%d+) (%d+) (%d+) (%S+) (%S+)$')
      for _, name in ipairs(day and {user, project} or {}) do
        is[name] = is[name] or {0, 0, 0, 0}
        local of = is[name]
        if tonumber(day) == PERIOD[1].is then of[1], of[2] = of[1] + 1, of[2] + worst end
        if tonumber(month) == PERIOD[2].is then of[3], of[4] = of[3] + 1, of[4] + worst end
      end
    end
  end
  for _, name in ipairs(call('SMEMBERS', P .. 'limited')) do is[name] = is[name] or {0, 0, 0, 0} end
  for name, of in pairs(is) do
    local a = account(name)
    for i = 1, 2 do
      local calls, micro = of[2 * i - 1], of[2 * i]
      if a[i].rc ~= calls or a[i].ri ~= calls or a[i].ru ~= micro then
        out[#out + 1] = name .. ': reserved of this ' .. PERIOD[i].name .. ': ' .. int(calls) ..
          ' calls and ' .. int(micro) .. ' millionths, counted ' .. int(a[i].rc) .. ' and ' .. int(a[i].ru)
        out[#out + 1] = ARGV[2]
        a[i].rc, a[i].ri, a[i].ru, a.dirty = calls, calls, micro, true
      end
    end
  end
  if ARGV[2] == '1' then save() end
  return out
end

return ({reserve = reserve, tell = tell, keep = keep, leave = leave, show = show, list = list, set = set,
  check = check})[op]()
