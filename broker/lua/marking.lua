-- marking.lua - which calls may be sent, and what they may cost; shared by sent and op_begin.
--
-- cost + spent + reserved never pass the budget: `reserved` is what calls under way may cost, of
-- each one in rv:INC; `spent` is that of calls whose outcome stayed unknown. Where a call does not
-- fit even when all calls under way had cost nothing, the batch is held back, unless the cheapest
-- of its calls may fit still: then the job alone is set aside. A call that may cost nobody knows
-- how much fits no budget.

-- Reads only. `fields` of the active hash `key`, with the worst cost of each. Gives a table:
-- marks, a character a field, see sent; sent, the places of those to be marked; kept, of those
-- that take some of a budget; values, of the hash; batches.
local function examine(key, fields, worst)
  local e = {marks = {}, sent = {}, kept = {}, batches = {}, values = call('HMGET', key, unpack(fields))}
  local lists = {}
  for i, v in ipairs(e.values) do
    e.marks[i] = v and '1' or '0'
    if v then
      local list = list_of(v)
      local l = lists[list] or {at = {}, indexes = {}, runs = {}}
      lists[list] = l
      l.at[#l.at + 1] = i
      l.indexes[#l.at], l.runs[#l.at] = struct.unpack('>I4I2', v, 2)
    end
  end
  local function batch_of(list)
    local _, _, batch = list_parts(list)
    local b = e.batches[batch]
    if not b then
      local f = call('HMGET', P .. 'b:' .. batch, 'run', 'budget', 'cost', 'reserved', 'user',
        'paused', 'spent', 'blocked_by', 'cheapest')
      b = {run = f[1], user = f[5], paused = f[6], taken = 0, gone = {}, blocked = f[8],
        cheapest = tonumber(f[9]) or math.huge, reserved = (f[4] or '0') ~= '0'}
      if f[2] then
        b.most = tonumber(f[2]) - tonumber(f[3] or 0) - tonumber(f[7] or 0)
        b.left = b.most - tonumber(f[4] or 0)
      end
      e.batches[batch] = b
    end
    return batch, b
  end
  -- Whether the budget has room for one more call, as its mark; takes it.
  local function fits(b, i)
    if not b.left then return '1' end
    local micro = tonumber(worst[i])
    if micro < 0 then return 'u' end
    if micro > b.most and b.cheapest <= b.most then return 'B' end
    if micro > b.left then
      b.refused = b.refused or micro > b.most
      return 'b'
    end
    b.left, b.taken = b.left - micro, b.taken + micro
    if micro > 0 then e.kept[#e.kept + 1] = i end
    return '1'
  end
  for list, l in pairs(lists) do
    local batch, b = batch_of(list)
    local ended = over(batch, b.run, l.indexes, l.runs)
    for k, i in ipairs(l.at) do
      if ended[k] then
        e.marks[i] = '0'
        table.insert(b.gone, fields[i])
      elseif string.byte(e.values[i]) == 99 then -- 'c'
        e.marks[i] = fits(b, i)
        if e.marks[i] == '1' then
          e.sent[#e.sent + 1] = i
          b.sends = true
        end
      end
    end
  end
  return e
end

-- Writes what belongs to the batches: jobs that are over leave the worker, what may be spent is
-- reserved, who has no money left is held back.
local function account(e, inc, key, now)
  for batch, b in pairs(e.batches) do
    if #b.gone > 0 then
      call('HDEL', key, unpack(b.gone))
      end_leads(inc, b.gone, forget_request)
      if b.reserved then unreserve(batch, inc, b.gone) end -- marked before, and not begun
    end
    if b.taken > 0 then call('HINCRBY', P .. 'b:' .. batch, 'reserved', b.taken) end
    if b.blocked and b.sends then
      call('HDEL', P .. 'b:' .. batch, 'blocked_by')
      emit(batch, {event('unblocked', tonumber(b.run), 0, now, '', {group = string.match(b.blocked, '^%S*')})})
    end
    if b.refused and not b.paused then
      hold(batch, b.user, 'budget')
      emit(batch, {event('blocked', tonumber(b.run), 0, now, '', {code = 'budget', group = 'budget',
        message = 'the budget has no room for one more call'})})
    end
  end
end

