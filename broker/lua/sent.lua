-- sent - marks calls as sent, before their first byte leaves, and reserves what they may cost at
-- worst. May be sent twice: under the same number as long as it was not answered; one that comes in
-- late, when its answer was acted upon long ago, does nothing. A job that was cancelled meanwhile
-- is taken from its worker instead, so that no money is spent on it.
--
-- ARGV  1 incarnation  2 number of this request, rising
--       then, up to 1,000 times, SEQ:SLOT and the worst cost, millionths of USD
-- Returns {1, marks}: marks has a character a job, '1' marked, 'b' the batch's budget has no room
-- for it, now or at all: not marked; '0' no longer ours; {-1} the lease is lost.
--
-- cost + spent + reserved never pass the budget: `reserved` is what calls under way may cost, of
-- each one in rv:INC; `spent` is that of calls whose outcome stayed unknown. A batch for which
-- nothing more fits, even when all calls under way had cost nothing, is held back.
local inc, number, now = ARGV[1], tonumber(ARGV[2]), now_ms()
if not alive(inc, now) then return {-1} end
local me, key = P .. 'w:' .. inc, P .. 'a:' .. inc
if number < tonumber(call('HGET', me, 'smark') or 0) then return {1, ''} end
local fields = {}
for i = 3, #ARGV, 2 do fields[#fields + 1] = ARGV[i] end
local values = call('HMGET', key, unpack(fields))
local args, marks, lists, batches, kept = {}, {}, {}, {}, {}
for i, v in ipairs(values) do
  marks[i] = v and '1' or '0'
  if v then
    local list = string.sub(v, 2 + TICKET)
    local l = lists[list] or {at = {}, indexes = {}, runs = {}}
    lists[list] = l
    l.at[#l.at + 1] = i
    l.indexes[#l.at], l.runs[#l.at] = struct.unpack('>I4I2', v, 2)
  end
end

local function batch_of(list)
  local _, _, batch = list_parts(list)
  local b = batches[batch]
  if not b then
    local f = call('HMGET', P .. 'b:' .. batch, 'run', 'budget', 'cost', 'reserved', 'user',
      'paused', 'spent')
    b = {run = f[1], user = f[5], paused = f[6], taken = 0, gone = {}}
    if f[2] then
      b.most = tonumber(f[2]) - tonumber(f[3] or 0) - tonumber(f[7] or 0)
      b.left = b.most - tonumber(f[4] or 0)
    end
    batches[batch] = b
  end
  return batch, b
end

-- Whether the budget has room for one more call; takes it.
local function fits(b, i)
  if not b.left then return true end
  local worst = tonumber(ARGV[2 * i + 2])
  if worst > b.left then
    b.refused = b.refused or worst > b.most
    return false
  end
  b.left, b.taken = b.left - worst, b.taken + worst
  kept[#kept + 1] = fields[i]
  kept[#kept + 1] = worst
  return true
end

for list, l in pairs(lists) do
  local batch, b = batch_of(list)
  local ended = over(batch, b.run, l.indexes, l.runs)
  for k, i in ipairs(l.at) do
    if ended[k] then
      marks[i] = '0'
      table.insert(b.gone, fields[i])
    elseif string.byte(values[i]) == 99 then -- 'c'
      if fits(b, i) then
        args[#args + 1] = fields[i]
        args[#args + 1] = 's' .. string.sub(values[i], 2)
      else
        marks[i] = 'b'
      end
    end
  end
end
call('HSET', me, 'smark', number) -- first: refused over maxmemory
if #args > 0 then call('HSET', key, unpack(args)) end
if #kept > 0 then call('HSET', P .. 'rv:' .. inc, unpack(kept)) end
for batch, b in pairs(batches) do
  if #b.gone > 0 then
    call('HDEL', key, unpack(b.gone))
    if b.left then unreserve(batch, inc, b.gone) end -- marked before, and not begun
  end
  if b.taken > 0 then call('HINCRBY', P .. 'b:' .. batch, 'reserved', b.taken) end
  if b.refused and not b.paused then
    hold(batch, b.user, 'budget')
    emit(batch, {event('blocked', tonumber(b.run), 0, now, '', {code = 'budget', group = 'budget',
      message = 'the budget has no room for one more call'})})
  end
end
return {1, table.concat(marks)}
