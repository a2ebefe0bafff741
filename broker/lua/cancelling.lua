-- cancelling.lua - part of the scripts that cancel: ends open jobs of a batch, some at a time.

-- Marks the given open jobs as cancelled, with an event each.
local function cancel_jobs(batch, indexes, now)
  local state = states(batch, indexes)
  local all = call('HMGET', P .. 'in:' .. batch, unpack(indexes))
  local open, inputs, seen = {}, {}, {}
  for i, index in ipairs(indexes) do
    if state[i] == 0 and all[i] and not seen[index] then -- without an input: never there
      seen[index] = true
      open[#open + 1] = index
      inputs[#inputs + 1] = all[i]
    end
  end
  if #open == 0 then return 0 end
  local runs = call('HMGET', P .. 'rn:' .. batch, unpack(open))
  local to, events = {}, {}
  for i, index in ipairs(open) do
    to[i] = 3
    events[i] = event('cancelled', tonumber(runs[i] or 1), index, now, input_id(inputs[i]))
  end
  call('HDEL', P .. 'b:' .. batch, 'done_at') -- a removal first; not there while jobs are open
  set_states(batch, open, to)
  emit(batch, events)
  call('HINCRBY', P .. 'b:' .. batch, 'cancelled', #open)
  live_out(#open)
  call('HINCRBY', P .. 'b:' .. batch, 'open', -#open)
  call('HDEL', P .. 'mf:' .. batch, unpack(open))
  call('ZADD', P .. 'cancelled', int(now), batch) -- workers hear of it when they renew
  return #open
end

-- Goes on cancelling a whole batch from where the last call stopped; when all jobs are over
-- the batch ends.
local function cancel_some(batch, most, now)
  local key = P .. 'b:' .. batch
  local b = call('HMGET', key, 'cancel', 'hw')
  if not b[1] then
    call('ZREM', P .. 'cancelling', batch)
    return 0
  end
  local from, have, n = tonumber(b[1]), tonumber(b[2]), 0
  local to = math.min(have, from + most)
  local indexes = {}
  for i = from, to - 1 do indexes[#indexes + 1] = i end
  call('HDEL', key, 'cancel') -- a removal first, so that it works when memory is full
  if to < have then call('HSET', key, 'cancel', to) end
  if #indexes > 0 then n = cancel_jobs(batch, indexes, now) end
  if to == have then
    call('ZREM', P .. 'cancelling', batch)
    call('HSET', key, 'sealed', '1')
    finish_if_done(batch, now)
  end
  return n
end
