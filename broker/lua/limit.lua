-- limit - the limits of one group (project x model x lane), on all hosts together: grants send
-- slots in all dimensions at once or none, and learns from refusals.
--
-- GCRA with burst 1: a dimension's TAT is the earliest time of its next call; a slot is the latest
-- of all dimensions' TATs, and moves each of them on by T x what its call takes of it. Source of
-- the algorithm: ATM Forum TM 4.1, generic cell rate algorithm; as a limiter, B. Jordan's
-- "throttled". A call goes out between its slot and slot + d (10 ms). With T = (P + d) / N at most
-- N + 1 calls fall into any window of length P; with any longer T, `strict`, at most N. It is longer
-- by what calls may differ on their way: a hundredth, which at large N would be more than a call, and
-- there by a call: (P + d) / (N - 1).
--
-- A slot that no call used is as if it had never been granted, if nobody was granted a later one:
-- then the TATs go back. Else somebody's calls may stand right behind it, and it is forfeit; but a
-- day's quota, which knows no slots, gets its calls back in any case.
--
-- Refusals (429) cool the group down for all hosts. The first of a burst cuts the rate, of limits
-- that were set or learned: to 0.7 of it, or, near a rate that was refused before, by a twentieth;
-- it grows again by a twentieth of that remembered ceiling a second, and by a two-hundredth once
-- near it. After four half seconds with refusals and without a success the group is probed with
-- single calls: after a second, and after twice the time for each that is refused, a minute at most.
--
-- KEYS  1 genfarm:{limit:GROUP}:l, a hash: spec; cleared, a person wants none; edited us, when a
--       person set or cleared them; asks, asks_at us, what a worker would set;
--       tat:NAME us; last us, the last slot granted; used:NAME, ends:NAME of a calendar day;
--       cd us, nothing goes out before; cd_by what that is shown as, if not 'cooling';
--       rate 0 to 1, rate_at, ceiling; cut_at; streak, streak_at, probe;
--       n:INC, e:INC calls in flight of an incarnation, and until when they count;
--       q:NAME, qe:NAME what the provider said it allows, "COUNT/PERIOD", and until when that is
--       believed; day:calls, day:refused, day:micro what came of calls on the provider's day, which is over
--       at day:ends; s:TELLER the number of the last news of a worker
-- ARGV  1 'take'  2 want, 0 to 1,000  3, 4 no slot later, or earlier, than this many us from now
--       5 spec to be set where none is, or ''
--       6 what the calls take, one after the other: "COUNTxIMAGES:TOKENS:MICRO,...", the last for all
--         that follow; MICRO are millionths of USD
--       7, 8 two ends of the provider's day, us, one after the other; the first that lies ahead counts
--       9 incarnation, or ''  10 its calls in flight  11 us that these count
--       News, heeded once:
--       12 who tells, or ''  13 a number that rises with each news of that one; 0: no news
--       14, 15, 16 images, tokens and millionths that earlier calls took beyond what was reckoned
--         (may be negative)
--       17, 18, 19 calls that ended, those refused by a quota, millionths of USD
--       20 when a call that went well was sent, us; 0: none
--       21 slots that were not used  22 end of the day that they were counted in, us
--       23, 24 first and last of them that were granted together and last of all, us; 0: none
--       25, 26, 27 images, tokens and millionths that the last one was granted for
-- or    1 'refused'  2 cool down for so many us  3 when the call was sent, us  4 '1': the rate was
--       at fault, '0': the provider's capacity  5 what the cool-down is shown as, or ''
-- or    1 'learn'  2 what the provider said it allows, as a spec: it bounds what was set, and never
--       raises it  3 for so many us  4 for so long nothing goes out by a quota of a day, which
--       is used up
-- or    1 'set'  2 spec: "name=COUNT/PERIOD_US,..." (PERIOD 'day': the provider's calendar; 0: in
--       flight; "strict=1/0")
-- or    1 'clear': no limit, and none that a worker would set, until 'set'
-- Returns {server us, spec, what limits now or '', us until it does no longer, calls, refused and
-- millionths of USD of this day, spec of what the provider said, us until the last of it is
-- forgotten, end of the provider's day or 0, edited, what a worker would set and may not or '', us
-- from now of each slot granted...}. With no spec and nothing that limits, no slots are needed.
local call = redis.call
local key, op = KEYS[1], ARGV[1]
local t = call('TIME')
local now = t[1] * 1000000 + t[2]
local D, SECOND, DAY = 10000, 1000000, 86400000000
local MAX_SPEC, MAX_DIMENSIONS, MAX_FIELDS = 4096, 16, 8192
local function int(n)
  return string.format('%.0f', n)
end
-- Whatever is written there: a number that can be reckoned with.
local function sane(v, default)
  v = tonumber(v)
  return v and v > -1e16 and v < 1e16 and v or default
end

local h, prefixed, pairs_of = {}, {}, call('HGETALL', key) -- prefixed: fields of one letter and a colon
if #pairs_of > 2 * MAX_FIELDS then -- nobody made so many: what people and the provider said is kept
  local names = {'spec', 'cleared', 'edited', 'cd'}
  local kept = call('HMGET', key, unpack(names))
  call('DEL', key)
  pairs_of = {}
  for i, name in ipairs(names) do
    if kept[i] and #kept[i] <= MAX_SPEC then
      call('HSET', key, name, kept[i])
      pairs_of[#pairs_of + 1], pairs_of[#pairs_of + 2] = name, kept[i]
    end
  end
end
for i = 1, #pairs_of, 2 do
  local field = pairs_of[i]
  h[field] = pairs_of[i + 1]
  if string.byte(field, 2) == 58 then prefixed[#prefixed + 1] = field end
end
local function number(field, default) return sane(h[field], default) end
local new, gone = {}, {} -- fields to be written, and removed
local function put(field, value)
  h[field] = type(value) == 'number' and int(value) or value
  new[#new + 1] = field
  new[#new + 1] = h[field]
end
local function drop(field)
  h[field] = nil
  gone[#gone + 1] = field
end
local function write(command, list)
  for i = 1, #list, 500 do call(command, key, unpack(list, i, math.min(i + 499, #list))) end
end
-- {name, count, period}: us, 'day', or 0.
local parsed = {}
local function parse(spec)
  if parsed[spec or ''] then return parsed[spec or ''] end
  local out = {}
  for name, count, period in string.gmatch(spec or '', '([%w_]+)=(%d+)/(%w+)') do
    local us = period == 'day' and period or sane(period)
    if us and #out < MAX_DIMENSIONS then out[#out + 1] = {name, math.max(1, sane(count, 1e15)), us} end
  end
  parsed[spec or ''] = out
  return out
end
local function is_limit(d) return d[3] == 'day' or d[3] > 0 or d[1] ~= 'strict' end
-- What limits nothing is no limit.
local function usable(spec)
  if not spec or #spec > MAX_SPEC then return nil end
  for _, d in ipairs(parse(spec)) do
    if is_limit(d) then return spec end
  end
end
h.spec = usable(h.spec)
-- What the provider said and is still believed, by name.
local function learned()
  local out, names, last = {}, {}, 0
  for _, field in ipairs(prefixed) do
    local name, value = string.match(field, '^q:([%w_]+)$'), h[field]
    local ends = name and value and number('qe:' .. name, 0) or 0
    if ends > now and not out[name] and #name <= 32 and #names < MAX_DIMENSIONS then
      out[name] = parse(name .. '=' .. string.sub(value, 1, 64))[1]
      if out[name] and out[name][3] == 0 then out[name] = nil end
      if out[name] then
        names[#names + 1] = name
        last = math.max(last, ends)
      end
    end
  end
  table.sort(names)
  return out, names, last
end
local function counted_today(what)
  return number('day:ends', 0) > now and number('day:' .. what, 0) or 0
end
local day_ends = 0
local function cooling()
  return h.cd_by and #h.cd_by < 32 and string.match(h.cd_by, '^%l+$') or 'cooling'
end
local function done(reason, wait, slots)
  write('HDEL', gone)
  write('HSET', new)
  local out = {int(now), h.spec or '', reason or '', int(math.max(0, wait or 0))}
  for i, name in ipairs({'calls', 'refused', 'micro'}) do out[4 + i] = int(counted_today(name)) end
  local said, names, last = learned()
  for i, name in ipairs(names) do
    names[i] = name .. '=' .. int(said[name][2]) .. '/' .. (said[name][3] == 'day' and 'day' or int(said[name][3]))
  end
  out[8], out[9] = table.concat(names, ','), int(math.max(0, last - now))
  local asks = now - number('asks_at', 0) < 120 * SECOND and h.asks ~= h.spec and h.asks
  out[10], out[11], out[12] = int(day_ends), int(number('edited', 0)), asks or ''
  for i = 1, slots and #slots or 0 do out[12 + i] = slots[i] end
  return out
end

-- What went out today stays counted, or a day's limit could be passed by setting it again; and
-- what went out while there was none is counted, too.
-- Nor is what went out a moment ago forgotten: the next call is as many calls away as before.
local function set(spec)
  local away = {}
  for _, d in ipairs(parse(h.spec)) do
    if d[3] ~= 'day' and d[3] > 0 then
      away[d[1]] = math.max(0, number('tat:' .. d[1], 0) - now) / (d[3] + D) * d[2]
    end
  end
  for field in pairs(h) do
    if string.find(field, '^tat:') or string.find(field, '^qe?:') or field == 'rate' or
      field == 'ceiling' or field == 'rate_at' or field == 'last' or field == 'cleared' then drop(field) end
  end
  put('spec', spec)
  for _, d in ipairs(parse(spec)) do
    if d[3] ~= 'day' and d[3] > 0 and (away[d[1]] or 0) > 0 then
      put('tat:' .. d[1], now + away[d[1]] * (d[3] + D) / d[2])
    end
    if d[3] == 'day' and number('day:ends', 0) > now then
      local used = number('ends:' .. d[1], 0) > now and number('used:' .. d[1], 0) or 0
      put('used:' .. d[1], math.max(used, counted_today('calls')))
      put('ends:' .. d[1], number('day:ends', 0))
    end
  end
end

if op == 'clear' then
  for field in pairs(h) do
    local name = string.match(field, '^used:(.+)$') or string.match(field, '^ends:(.+)$')
    if not (string.find(field, '^day:') or string.find(field, '^s:') or
      name and number('ends:' .. name, 0) > now) then gone[#gone + 1] = field end
  end
  for _, field in ipairs(gone) do h[field] = nil end
  put('cleared', '1')
  put('edited', now)
  return done()
elseif op == 'set' then
  set(ARGV[2])
  put('edited', now)
  return done()
end

if op == 'learn' then
  for name, count, period in string.gmatch(ARGV[2], '([%w_]+)=(%d+)/(%w+)') do
    prefixed[#prefixed + 1] = 'q:' .. name
    put('q:' .. name, count .. '/' .. period)
    put('qe:' .. name, now + tonumber(period == 'day' and ARGV[4] or ARGV[3]))
  end
  return done()
end

local function share(field, default) return math.min(1, math.max(0.01, number(field, default))) end

if op == 'refused' then
  local first = tonumber(ARGV[3]) > number('cut_at', 0)
  local until_us = now + tonumber(ARGV[2])
  if until_us > number('cd', 0) then
    put('cd', until_us)
    if ARGV[5] ~= '' then put('cd_by', ARGV[5]) elseif h.cd_by then drop('cd_by') end
  end
  if first then
    local rate, ceiling = share('rate', 1), number('ceiling', 2)
    local _, said = learned()
    if ARGV[4] == '1' and (h.spec or #said > 0) then
      local near = math.abs(rate - ceiling) < 0.1 * ceiling
      put('rate', string.format('%.6f', math.max(0.01, rate * (near and 0.95 or 0.7))))
      put('ceiling', string.format('%.6f', rate))
      drop('last')
    end
    put('cut_at', now)
    put('rate_at', number('cd', now))
  end
  if now - number('streak_at', 0) >= SECOND / 2 then
    local streak = number('streak', 0) + 1
    put('streak', streak)
    put('streak_at', now)
    if streak >= 4 then
      put('probe', '1')
      put('cd', math.max(number('cd', 0), now + math.min(60, 2 ^ (streak - 4)) * SECOND))
    end
  end
  return done(cooling(), number('cd', now) - now)
end

-- --- take ---

local function argument(i) return tonumber(ARGV[i]) end
local want, horizon, lead = argument(2), argument(3), argument(4)

-- By the server's clock; a worker's may be wrong by hours.
day_ends = argument(7) > now and argument(7) or argument(8)
if day_ends <= now then day_ends = day_ends + math.ceil((now + 1 - day_ends) / DAY) * DAY end
if day_ends - now > DAY + 3600 * SECOND then
  day_ends = day_ends - math.floor((day_ends - now) / DAY) * DAY
end

if ARGV[5] ~= '' and ARGV[5] ~= h.spec then
  if not h.spec and not h.cleared then
    set(ARGV[5])
  elseif now - number('asks_at', 0) > 60 * SECOND then
    put('asks', ARGV[5])
    put('asks_at', now)
  end
end

-- Whoever did not hear our answer tells again.
local news, teller = argument(13) > 0, 's:' .. ARGV[12]
if news and ARGV[12] ~= '' then
  local before = number(teller, 0)
  news = argument(13) > before or before > now + 3600 * SECOND
  if before == 0 then -- a new one: those of ten minutes ago are gone
    for _, field in ipairs(prefixed) do
      if string.find(field, '^s:') and number(field, 0) < now - 600 * SECOND then gone[#gone + 1] = field end
    end
    for _, field in ipairs(gone) do h[field] = nil end
  end
  if news then put(teller, argument(13)) end
end
if news and ARGV[17] ~= '0' then
  for i, name in ipairs({'calls', 'refused', 'micro'}) do
    put('day:' .. name, counted_today(name) + argument(16 + i))
  end
  if number('day:ends', 0) <= now then put('day:ends', day_ends) end
end
if news and ARGV[20] ~= '0' and h.streak and
  (h.probe ~= '1' or argument(20) > number('streak_at', 0)) then
  drop('streak')
  drop('probe')
end

-- What is refused no longer grows again.
local rate = share('rate', 1)
if rate < 1 and want > 0 and now - number('rate_at', 0) >= SECOND then
  local ceiling = share('ceiling', 1)
  local steps = math.floor((now - number('rate_at', now)) / SECOND)
  local by = rate < 0.9 * ceiling and 0.05 or 0.005
  rate = math.min(1, rate + math.min(steps, 20) * by * ceiling)
  put('rate', string.format('%.6f', rate))
  put('rate_at', now)
end

-- Dimensions: what each counts, its T, and its TAT. ipm, ipd and the like count images, tpm and the
-- like tokens, names that begin with usd dollars; all others count calls.
local WHAT = {i = 'images', t = 'tokens'}
local names, what, unit, tat, days, flight = {}, {}, {}, {}, {}, nil
local function T_of(d) return (d[3] + D) / d[2] / rate end
-- `sure`: N calls in any window, and not N + 1.
local function dimension(d, sure)
  local i, T = #names + 1, T_of(d)
  names[i] = d[1]
  what[i] = WHAT[string.match(d[1], '^([it])p[smhd]$')] or string.sub(d[1], 1, 3) == 'usd' and 'micro' or 'calls'
  unit[i] = sure and T * (1 + math.min(0.01, 1 / (d[2] - 1))) or T
  tat[i] = number('tat:' .. d[1], 0)
end
local strict = string.find(h.spec or '', 'strict=1/0', 1, true) ~= nil
local said, said_names = learned()
for _, d in ipairs(parse(h.spec)) do
  local q = said[d[1]]
  if d[3] == 0 then
    if d[1] ~= 'strict' then flight = d[2] end
  elseif d[3] == 'day' then
    days[#days + 1] = d
  else
    said[d[1]] = nil
    local less = q and q[3] ~= 'day' and q[3] ~= 0 and T_of(q) > T_of(d)
    dimension(less and q or d, less or strict)
  end
end
local over, over_by = 0, nil -- a day's quota that is used up, as the provider said
for _, name in ipairs(said_names) do
  local q = said[name]
  if q and q[3] == 'day' then
    if number('qe:' .. name, 0) > over then over, over_by = number('qe:' .. name, 0), name end
  elseif q and q[3] ~= 0 then
    dimension(q, true)
  end
end

-- What was not used, and what calls took beyond what was reckoned.
local changed = false
local function units(i) return {calls = 1, images = argument(i), tokens = argument(i + 1), micro = argument(i + 2)} end
if news and (ARGV[14] ~= '0' or ARGV[15] ~= '0' or ARGV[16] ~= '0' or ARGV[21] ~= '0') then
  local from, to, charged, extra = argument(23), argument(24), units(25), units(14)
  local last = to > 0 and math.abs(number('last', 0) - to) < 2
  extra.calls = 0
  for i = 1, #names do
    if last then tat[i] = tat[i] - (to - from + unit[i] * charged[what[i]]) end
    if extra[what[i]] ~= 0 then tat[i] = math.max(tat[i], now) + unit[i] * extra[what[i]] end
    changed = changed or last or extra[what[i]] ~= 0
  end
  if last then drop('last') end
  for _, d in ipairs(days) do
    if argument(21) > 0 and number('ends:' .. d[1], 0) == argument(22) then
      put('used:' .. d[1], math.max(0, number('used:' .. d[1], 0) - argument(21)))
    end
  end
end
for i = 1, #names do tat[i] = math.max(tat[i], now) end

-- Calls in flight: what others hold for as long as their leases last.
local inc, reason, wait = ARGV[9], nil, 0
local limited = #names > 0 or #days > 0 or over_by
if flight and inc ~= '' then
  local free = flight - argument(10)
  for _, field in ipairs(prefixed) do
    local other = string.match(field, '^n:(.+)$')
    if other and other ~= inc and h[field] then
      local ends = number('e:' .. other, 0)
      if ends > now and ends < now + DAY then
        free = free - number(field, 0)
      else
        gone[#gone + 1] = field
        gone[#gone + 1] = 'e:' .. other
      end
    end
  end
  limited = true
  if free < want then
    want, reason, wait = math.max(0, free), 'inflight', 100000
  end
end

local probing = h.probe == '1'
if probing then want, limited = math.min(want, 1), true end
local step, left, next_run = {}, 0, string.gmatch(ARGV[6], '(%d+)x(%d+):(%d+):(%d+)')
local function next_call() -- what it moves each TAT by
  if left == 0 then
    local n, images, tokens, micro = next_run()
    left = n and tonumber(n) or 1e9
    local takes = n and {calls = 1, images = tonumber(images), tokens = tonumber(tokens), micro = tonumber(micro)}
    for i = 1, takes and #names or 0 do step[i] = unit[i] * takes[what[i]] end
  end
  left = left - 1
end
local slots, cd = {}, number('cd', 0)
for k = 1, limited and math.max(want, 1) or 0 do -- with none wanted: what would limit one
  local slot, by = now + lead, nil
  if cd > slot then slot, by = cd, probing and 'probing' or cooling() end
  if over > slot then slot, by = over, over_by end
  for i = 1, #names do if tat[i] > slot then slot, by = tat[i], names[i] end end
  for _, d in ipairs(days) do
    local ends = number('ends:' .. d[1], 0)
    if ends > now and number('used:' .. d[1], 0) >= d[2] and ends > slot then slot, by = ends, d[1] end
  end
  if slot - now > horizon then
    reason, wait = by, slot - now
    break
  end
  if k > want then break end
  next_call()
  for i = 1, #names do tat[i] = slot + (step[i] or unit[i]) end
  for _, d in ipairs(days) do
    if number('ends:' .. d[1], 0) <= now then
      put('ends:' .. d[1], day_ends)
      h['used:' .. d[1]] = '0'
    end
    h['used:' .. d[1]] = int(number('used:' .. d[1], 0) + 1)
  end
  slots[k] = slot - now
end
if #slots > 0 then
  put('last', now + slots[#slots])
  for _, d in ipairs(days) do put('used:' .. d[1], h['used:' .. d[1]]) end
  if probing then put('cd', now + SECOND) end
end
if #slots > 0 or changed then
  for i = 1, #names do put('tat:' .. names[i], tat[i]) end
end
if flight and inc ~= '' then
  put('n:' .. inc, argument(10) + #slots)
  put('e:' .. inc, now + argument(11))
end
if not limited and cd > now then reason, wait = cooling(), cd - now end
if not reason and probing then reason = 'probing' end
if not reason and rate < 1 and limited then reason = 'rate' end
return done(reason, wait, slots)
