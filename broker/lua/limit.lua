-- limit - the limits of one group (project x model x lane), on all hosts together: grants send
-- slots in all dimensions at once or none, and learns from refusals.
--
-- GCRA with burst 1: a dimension's TAT is the earliest time of its next call; a slot is the latest
-- of all dimensions' TATs, and moves each of them on by T x what the call takes of it. Source of
-- the algorithm: ATM Forum TM 4.1, generic cell rate algorithm; as a limiter, B. Jordan's
-- "throttled". A call goes out between its slot and slot + d (10 ms). With T = (P + d) / N at most
-- N + 1 calls fall into any window of length P; with (P + d) / (N - 1), `strict`, at most N.
--
-- Refusals (429) cool the group down for all hosts. The first of a burst cuts the rate: to 0.7 of
-- it, or, near a rate that was refused before, by a twentieth; it grows again by a twentieth of
-- that remembered ceiling a second, and by a two-hundredth once near it. After four half seconds
-- with refusals and without a success the group is probed with one call a second.
--
-- KEYS  1 genfarm:{limit:GROUP}:l, a hash: spec; tat:NAME us; used:NAME, ends:NAME of a calendar
--       day; cd us, nothing goes out before; cd_by what that is shown as, if not 'cooling';
--       rate 0 to 1, rate_at, ceiling; cut_at; streak, streak_at, probe;
--       n:INC, e:INC calls in flight of an incarnation, and until when they count;
--       q:NAME, qe:NAME what the provider said it allows, "COUNT/PERIOD", and until when that is
--       believed; day:calls, day:refused, day:micro what came of calls on the provider's day, which is over
--       at day:ends
-- ARGV  1 'take'  2 want, 0 to 1,000  3 horizon: no slot later than this many us from now
--       4, 5 first and last slot handed back, us of the server's clock; 0: none
--       6 spec to be set where none is, or ''
--       7 images 8 input tokens 9 millionths of USD: what each call takes
--       10, 11 tokens and millionths that earlier calls took beyond that (may be negative)
--       12 end of the provider's day, us  13 incarnation, or ''  14 its calls in flight
--       15 us that these count  16 when a call that went well was sent, us; 0: none since last time
--       17 no slot earlier than this many us from now
--       18, 19, 20 calls that ended since last time, those refused by a quota, millionths of USD
-- or    1 'refused'  2 cool down for so many us  3 when the call was sent, us  4 '1': the rate was
--       at fault, '0': the provider's capacity
-- or    1 'learn'  2 what the provider said it allows, as a spec: it bounds what was set, and never
--       raises it  3 for so many us  4 for so long nothing goes out by a quota of a day, which
--       is used up
-- or    1 'set'  2 spec: "name=COUNT/PERIOD_US,..." (PERIOD 'day': the provider's calendar; 0: in
--       flight; "strict=1/0")
-- or    1 'clear'
-- Returns {server us, spec, what limits now or '', us until it does no longer, calls, refused and
-- millionths of USD of this day, spec of what the provider said, us until the last of it is
-- forgotten, us from now of each slot granted...}. With no spec and nothing that limits, no slots are needed.
local call = redis.call
local key, op = KEYS[1], ARGV[1]
local t = call('TIME')
local now = t[1] * 1000000 + t[2]
local D, SECOND = 10000, 1000000
local function int(n)
  return string.format('%.0f', n)
end

local h, pairs_of = {}, call('HGETALL', key)
for i = 1, #pairs_of, 2 do h[pairs_of[i]] = pairs_of[i + 1] end
local function number(field, default) return tonumber(h[field] or default) end
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
-- What the provider said and is still believed, by name.
local function learned()
  local out, names, last = {}, {}, 0
  for field, value in pairs(h) do
    local name = string.match(field, '^q:(.+)$')
    local ends = name and number('qe:' .. name, 0) or 0
    if ends > now then
      names[#names + 1] = name
      out[name] = {string.match(value, '^(%d+)/(%w+)$')}
      last = math.max(last, ends)
    end
  end
  table.sort(names)
  return out, names, last
end
local function done(reason, wait, slots)
  if #gone > 0 then call('HDEL', key, unpack(gone)) end
  if #new > 0 then call('HSET', key, unpack(new)) end
  local today = number('day:ends', 0) > now
  local out = {int(now), h.spec or '', reason or '', int(math.max(0, wait or 0))}
  for i, name in ipairs({'calls', 'refused', 'micro'}) do
    out[4 + i] = today and h['day:' .. name] or '0'
  end
  local said, names, last = learned()
  for i, name in ipairs(names) do
    names[i] = name .. '=' .. said[name][1] .. '/' .. said[name][2]
  end
  out[8], out[9] = table.concat(names, ','), int(math.max(0, last - now))
  for i = 1, slots and #slots or 0 do out[9 + i] = slots[i] end
  return out
end

-- What went out today stays counted, or a day's limit could be passed by setting it again.
local function set(spec)
  for field in pairs(h) do
    if string.find(field, '^tat:') or string.find(field, '^qe?:') or
      field == 'rate' or field == 'ceiling' or field == 'rate_at' then drop(field) end
  end
  put('spec', spec)
end

if op == 'clear' then
  for field in pairs(h) do
    if not string.find(field, '^day:') then drop(field) end
  end
  return done()
elseif op == 'set' then
  set(ARGV[2])
  return done()
end

if op == 'learn' then
  for name, count, period in string.gmatch(ARGV[2], '([%w_]+)=(%d+)/(%w+)') do
    put('q:' .. name, count .. '/' .. period)
    put('qe:' .. name, now + tonumber(period == 'day' and ARGV[4] or ARGV[3]))
  end
  return done()
end

if op == 'refused' then
  local first = tonumber(ARGV[3]) > number('cut_at', 0)
  local until_us = now + tonumber(ARGV[2])
  if until_us > number('cd', 0) then
    put('cd', until_us)
    if ARGV[5] ~= '' then put('cd_by', ARGV[5]) elseif h.cd_by then drop('cd_by') end
  end
  if first then
    local rate, ceiling = number('rate', 1), number('ceiling', 2)
    if ARGV[4] == '1' and h.spec then
      local near = math.abs(rate - ceiling) < 0.1 * ceiling
      put('rate', string.format('%.6f', math.max(0.01, rate * (near and 0.95 or 0.7))))
      put('ceiling', string.format('%.6f', rate))
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
  return done(h.cd_by or 'cooling', number('cd', now) - now)
end

-- --- take ---

local want, horizon = tonumber(ARGV[2]), tonumber(ARGV[3])
if not h.spec and ARGV[6] ~= '' then set(ARGV[6]) end
if ARGV[18] ~= '0' then
  local today = number('day:ends', 0) > now
  if not today then put('day:ends', tonumber(ARGV[12])) end
  for i, name in ipairs({'calls', 'refused', 'micro'}) do
    local before = today and number('day:' .. name, 0) or 0
    put('day:' .. name, before + tonumber(ARGV[17 + i]))
  end
end
if ARGV[16] ~= '0' and h.streak and
  (h.probe ~= '1' or tonumber(ARGV[16]) > number('streak_at', 0)) then
  drop('streak')
  drop('probe')
end

-- What is refused no longer grows again.
local rate = number('rate', 1)
if rate < 1 and want > 0 and now - number('rate_at', 0) >= SECOND then
  local ceiling = number('ceiling', 1)
  local steps = math.floor((now - number('rate_at', now)) / SECOND)
  local by = rate < 0.9 * ceiling and 0.05 or 0.005
  rate = math.min(1, rate + math.min(steps, 20) * by * ceiling)
  put('rate', string.format('%.6f', rate))
  put('rate_at', now)
end

local TAKES = {ipm = ARGV[7], tpm = ARGV[8]}
local EXTRA = {tpm = tonumber(ARGV[10])}
local names, step, tat, strict, flight = {}, {}, {}, false, nil
local days = {}
local function T_of(count, period) return (tonumber(period) + D) / math.max(1, tonumber(count)) / rate end
-- `sure`: N calls in any window, and not N + 1.
local function dimension(name, count, T, sure)
  local takes, extra = tonumber(TAKES[name] or 1), EXTRA[name] or 0
  if string.sub(name, 1, 3) == 'usd' then takes, extra = tonumber(ARGV[9]), tonumber(ARGV[11]) end
  if sure and count > 1 then T = T * count / (count - 1) end
  local i = #names + 1
  names[i] = name
  step[i] = T * takes
  tat[i] = number('tat:' .. name, 0)
  if extra ~= 0 then tat[i] = math.max(tat[i], now) + T * extra end
end
strict = string.find(h.spec or '', 'strict=1/0', 1, true) ~= nil
local said, said_names = learned()
for name, count, period in string.gmatch(h.spec or '', '([%w_]+)=(%d+)/(%w+)') do
  if period == '0' then
    if name ~= 'strict' then flight = tonumber(count) end
  elseif period == 'day' then
    days[#days + 1] = name
    days[name] = tonumber(count)
  else
    local q, sure = said[name], strict
    said[name] = nil
    if q and T_of(q[1], q[2]) > T_of(count, period) then count, period, sure = q[1], q[2], true end
    dimension(name, tonumber(count), T_of(count, period), sure)
  end
end
local over, over_by = 0, nil -- a day's quota that is used up, as the provider said
for _, name in ipairs(said_names) do
  local q = said[name]
  if q and q[2] == 'day' then
    if number('qe:' .. name, 0) > over then over, over_by = number('qe:' .. name, 0), name end
  elseif q then
    dimension(name, tonumber(q[1]), T_of(q[1], q[2]), true)
  end
end

-- Slots handed back are granted again, if they lie ahead and nobody was granted later ones.
local from, to = tonumber(ARGV[4]), tonumber(ARGV[5])
local last = from >= now and #names > 0
for i = 1, #names do
  if math.abs(tat[i] - (to + step[i])) > 1 then last = false end
end
for i = 1, #names do
  if last then tat[i] = from end
  if tat[i] < now then tat[i] = now end
end

-- Calls in flight: what others hold for as long as their leases last.
local inc, reason, wait = ARGV[13], nil, 0
local limited = #names > 0 or #days > 0 or over_by
if flight and inc ~= '' then
  local free = flight - tonumber(ARGV[14])
  for field, count in pairs(h) do
    local other = string.match(field, '^n:(.+)$')
    if other and other ~= inc then
      if number('e:' .. other, 0) > now then
        free = free - tonumber(count)
      else
        drop('n:' .. other)
        drop('e:' .. other)
      end
    end
  end
  limited = true
  if free < want then
    want, reason, wait = math.max(0, free), 'inflight', 100000
  end
end

local probing = h.probe == '1'
if probing and want > 0 then want, limited = 1, true end
local slots, cd = {}, number('cd', 0)
for k = 1, limited and math.max(want, 1) or 0 do -- with none wanted: what would limit one
  local slot, by = now + tonumber(ARGV[17]), nil
  if cd > slot then slot, by = cd, probing and 'probing' or h.cd_by or 'cooling' end
  if over > slot then slot, by = over, over_by end
  for i = 1, #names do if tat[i] > slot then slot, by = tat[i], names[i] end end
  for _, name in ipairs(days) do
    local ends = number('ends:' .. name, 0)
    if ends > now and number('used:' .. name, 0) >= days[name] and ends > slot then
      slot, by = ends, name
    end
  end
  if slot - now > horizon then
    reason, wait = by, slot - now
    break
  end
  if k > want then break end
  for i = 1, #names do tat[i] = slot + step[i] end
  for _, name in ipairs(days) do
    if number('ends:' .. name, 0) <= now then
      put('ends:' .. name, tonumber(ARGV[12]))
      h['used:' .. name] = '0'
    end
    h['used:' .. name] = int(number('used:' .. name, 0) + 1)
  end
  slots[k] = slot - now
end
if #slots > 0 or last or EXTRA.tpm ~= 0 or ARGV[11] ~= '0' then
  for i = 1, #names do put('tat:' .. names[i], tat[i]) end
end
for _, name in ipairs(days) do
  if #slots > 0 then put('used:' .. name, h['used:' .. name]) end
end
if probing and #slots > 0 then put('cd', now + SECOND) end
if flight and inc ~= '' then
  put('n:' .. inc, tonumber(ARGV[14]) + #slots)
  put('e:' .. inc, now + tonumber(ARGV[15]))
end
if not limited and cd > now then reason, wait = h.cd_by or 'cooling', cd - now end
if not reason and rate < 1 and limited then reason = 'rate' end
return done(reason, wait, slots)
