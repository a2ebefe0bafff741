-- lost.lua - what becomes of jobs whose worker knows of them no more; shared by tick and handback.
local now = now_ms()

-- Puts tickets back into their lists, by batch; jobs that are over are left out.
local function back(batch, lists)
  local b = call('HMGET', P .. 'b:' .. batch, 'user', 'paused', 'nonce')
  if not b[3] then return end
  for list, tickets in pairs(lists) do push(list, b[1], b[2], tickets, true) end
end

-- Ends jobs as failed from here, without a worker.
local function fail(batch, jobs)
  local indexes, to, events = {}, {}, {}
  for i, j in ipairs(jobs) do
    indexes[i], to[i] = j.index, 2
    events[i] = event('failed', j.run, j.index, now, j.id, {code = j.code,
      message = j.why, attempts = j.attempts})
    if j.code == 'poison' then
      call('RPUSH', P .. 'dead', cmsgpack.pack({batch = batch, index = j.index, id = j.id,
        code = j.code, message = j.why, ts = now}))
    end
  end
  set_states(batch, indexes, to)
  call('HDEL', P .. 'mf:' .. batch, unpack(indexes))
  emit(batch, events)
  call('HINCRBY', P .. 'b:' .. batch, 'failed', #jobs)
  live_out(#jobs)
  if call('HINCRBY', P .. 'b:' .. batch, 'open', -#jobs) == 0 then
    finish_if_done(batch, now)
  else
    hold_aside(batch, now)
  end
end

-- What the ledger says of a call whose worker is lost; nothing where that kept none.
local function lost_call(batch, out, lane_model, job)
  local w = out.worker
  if w[3] == '0' then return end
  local lane, model = string.match(lane_model, '^([^/]*)/(.*)$')
  out.entries[#out.entries + 1] = ledger_entry(now,
    struct.pack('>i8I4I4I4I2BBB', 0, 0, 0, 0, 0, 1, 0, 1), cmsgpack.pack({'worker_lost',
      out.user or '', batch, job.id, job.index, job.run, job.attempts + 1, w[4] or '', job.project or w[1] or '',
      model, lane, 'generate', w[2] or '', 0, 0, 0, ''}))
end

-- A job with whose calls so many workers were lost is poison; one that only lay beside is let off
-- longer, for most of those are innocent.
local MOST_LOST, MOST_BESIDE = 3, 10

-- One lost job: decides where it goes. A call that was sent may have been billed, even when the
-- job is over since (it was cancelled).
local function lost_job(batch, value, ended, out)
  local _, lane_model = list_parts(list_of(value))
  local use = out.uses[lane_model] or {unknown = 0, failed = 0}
  out.uses[lane_model] = use
  local index, run, attempts, lost, limited = struct.unpack('>I4I2BBI2', value, 2)
  local sent, list = was_sent(value), list_of(value)
  local policy = string.byte(value) == 102 and 'fail' or 'retry'
  local id = input_id(call('HGET', P .. 'in:' .. batch, index))
  lost = math.min(255, lost + 1)
  local job = {index = index, run = run, id = id, attempts = attempts, project = project_of(value)}
  if sent then
    use.unknown = use.unknown + 1
    out.unknown[#out.unknown + 1] = event('unknown', run, index, now, id,
      {code = 'worker_lost', policy = ended and 'fail' or policy, attempts = attempts})
    lost_call(batch, out, lane_model, job)
  end
  if ended then return end
  if lost >= (sent and MOST_LOST or MOST_BESIDE) then
    job.code, job.why = 'poison', 'its worker was lost ' .. lost .. ' times'
  elseif sent and policy == 'fail' then
    job.code, job.why = 'worker_lost', 'the worker was lost while the call was under way'
  end
  if job.code then
    use.failed = use.failed + 1
    out.failed[#out.failed + 1] = job
  else
    out.lists[list] = out.lists[list] or {}
    table.insert(out.lists[list], struct.pack('>I4I2BBI2', index, run, attempts, lost, limited))
  end
end

-- What was reserved for these calls counts as spent: nobody will tell what they cost.
local function spend(inc, fields, values)
  local amounts, sums = call('HMGET', P .. 'rv:' .. inc, unpack(fields)), {}
  for i, micro in ipairs(amounts) do
    if micro then
      local _, _, batch = list_parts(list_of(values[i]))
      sums[batch] = (sums[batch] or 0) + tonumber(micro)
    end
  end
  if not next(sums) then return end
  call('HDEL', P .. 'rv:' .. inc, unpack(fields))
  for batch, micro in pairs(sums) do
    if call('EXISTS', P .. 'b:' .. batch) == 1 then
      call('HINCRBY', P .. 'b:' .. batch, 'reserved', int(-micro))
      call('HINCRBY', P .. 'b:' .. batch, 'spent', int(micro))
    end
  end
end

local function recover(inc, batch, values)
  local indexes, runs = {}, {}
  for i, v in ipairs(values) do indexes[i], runs[i] = struct.unpack('>I4I2', v, 2) end
  local b = call('HMGET', P .. 'b:' .. batch, 'run', 'user')
  if not b[1] then return end -- forgotten meanwhile
  local gone = over(batch, b[1], indexes, runs)
  local out = {unknown = {}, failed = {}, lists = {}, uses = {}, entries = {}, user = b[2],
    worker = call('HMGET', P .. 'w:' .. inc, 'project', 'endpoint', 'ledger', 'provider')}
  for i, v in ipairs(values) do
    lost_job(batch, v, gone[i], out)
  end
  if #out.unknown > 0 then
    emit(batch, out.unknown)
    call('HINCRBY', P .. 'b:' .. batch, 'unknown', #out.unknown)
    call('HINCRBY', P .. 'b:' .. batch, 'calls', #out.unknown)
  end
  for lane_model, n in pairs(out.uses) do
    count_usage(b[2], lane_model, now, n.unknown > 0 and
      {[AT.unknown] = n.unknown, [AT.calls] = n.unknown} or {}, {failed = n.failed})
  end
  log_calls(now, out.entries)
  if #out.failed > 0 then fail(batch, out.failed) end
  back(batch, out.lists)
end

