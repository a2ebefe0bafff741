-- settle - says what became of claimed jobs. May be sent twice: the same number gives the same
-- answer. Begins with a removal, so that it works when memory is full.
--
-- ARGV  1 incarnation  2 number of this settle, rising  3 groups
--       per group: batch, n; then n times: SEQ:SLOT, op, delay ms, ticket, figures, events k,
--       and k events
--   op  C completed, F failed, X cancelled (terminal); R back to the queue after the delay, with
--       the new ticket; N noted: stays with the worker, with the new ticket, and is no longer sent
--   figures  cost i64 (millionths of USD), in_tokens u32, out_tokens u32, bytes u32, images u16,
--       unknown u8, retries u8, big-endian; '' for none
-- Returns {1, marks}: a character a job in the order given, '1' done, '0' no longer ours, 'd' the
-- job had ended before; {-1} the lease is lost.
local inc, number = ARGV[1], ARGV[2]
local now = now_ms()
if not alive(inc, now) then return {-1} end
local me, key = P .. 'w:' .. inc, P .. 'a:' .. inc
local old = call('HMGET', me, 'sset', 'marks')
if old[1] == number then return {1, old[2]} end
if old[1] and tonumber(number) < tonumber(old[1]) then return {1, ''} end -- late: answered long ago

local STATE = {C = 1, F = 2, X = 3}
local NAME = {C = 'completed', F = 'failed', X = 'cancelled'}
local FIGURES = {'cost', 'in_tokens', 'out_tokens', 'bytes', 'images', 'unknown', 'retries'}

-- Reads one group; returns its jobs and where the next group begins.
local function read(at)
  local jobs = {}
  for i = 1, tonumber(ARGV[at + 1]) do
    local p = at + 2
    if i > 1 then p = jobs[i - 1].next end
    local k = tonumber(ARGV[p + 5])
    jobs[i] = {field = ARGV[p], op = ARGV[p + 1], delay = tonumber(ARGV[p + 2]),
      ticket = ARGV[p + 3], figures = ARGV[p + 4], events = p + 6, k = k, next = p + 6 + k}
  end
  return jobs, #jobs > 0 and jobs[#jobs].next or at + 2
end

local marks, live = {}, 0

-- Which of the jobs are ours still, and which of those are not over. All of them leave the active
-- hash; the noted ones come back.
local function admit(batch, jobs)
  local fields, indexes, runs, ours = {}, {}, {}, {}
  for i, j in ipairs(jobs) do fields[i] = j.field end
  for i, v in ipairs(call('HMGET', key, unpack(fields))) do
    if v then
      ours[#ours + 1] = jobs[i]
      jobs[i].value = v
      indexes[#ours], runs[#ours] = struct.unpack('>I4I2', v, 2)
      jobs[i].index = indexes[#ours]
    end
  end
  if #ours == 0 then return ours end
  local run = call('HGET', P .. 'b:' .. batch, 'run')
  local ended = over(batch, run, indexes, runs)
  local gone, seen = {}, {}
  for i, j in ipairs(ours) do
    j.over = ended[i] or seen[j.index] -- a job named twice ends once
    seen[j.index] = true
    gone[i] = j.field
  end
  call('HDEL', key, unpack(gone))
  return ours, run
end

local function group(batch, jobs)
  local ours, kept = admit(batch, jobs)
  local bits, sums, events, notes, ready, due, late = {}, {}, {}, {}, {}, {}, {}
  local ended, b = 0, nil
  for _, j in ipairs(ours) do
    if j.figures ~= '' then -- money was spent, whatever became of the job
      local f = {struct.unpack('>i8I4I4I4I2BB', j.figures)}
      for i, name in ipairs(FIGURES) do
        if f[i] ~= 0 then sums[name] = (sums[name] or 0) + f[i] end
      end
    end
    if j.over then
      j.mark = 'd'
    else
      j.mark = '1'
      for i = j.events, j.next - 1 do events[#events + 1] = ARGV[i] end
      if STATE[j.op] then
        bits[#bits + 1] = 'SET'
        bits[#bits + 1] = 'u2'
        bits[#bits + 1] = '#' .. j.index
        bits[#bits + 1] = STATE[j.op]
        sums[NAME[j.op]] = (sums[NAME[j.op]] or 0) + 1
        ended = ended + 1
      elseif j.op == 'N' then
        notes[#notes + 1] = j.field
        notes[#notes + 1] = 'c' .. j.ticket .. string.sub(j.value, 2 + TICKET)
      elseif j.delay > 0 then
        due[#due + 1] = int(now + j.delay)
        late[#late + 1] = j.ticket .. string.sub(j.value, 2 + TICKET)
      else
        local list = string.sub(j.value, 2 + TICKET)
        ready[list] = ready[list] or {}
        table.insert(ready[list], j.ticket)
      end
    end
  end
  for _, j in ipairs(jobs) do marks[#marks + 1] = j.mark or '0' end
  if not kept then return end -- none are ours, or the batch was forgotten
  local name = P .. 'b:' .. batch
  if #bits > 0 then call('BITFIELD', P .. 'st:' .. batch, unpack(bits)) end
  if #notes > 0 then call('HSET', key, unpack(notes)) end
  if #late > 0 then delay(batch, due, late) end
  if next(ready) then
    b = call('HMGET', name, 'user', 'paused')
    for list, tickets in pairs(ready) do push(list, b[1], b[2], tickets, true) end
  end
  for field, n in pairs(sums) do call('HINCRBY', name, field, int(n)) end
  if #events > 0 then emit(batch, events) end
  if ended > 0 then
    live = live + ended
    if call('HINCRBY', name, 'open', -ended) == 0 then finish_if_done(batch, now) end
  end
end

local at = 4
for _ = 1, tonumber(ARGV[3]) do
  local batch = ARGV[at]
  local jobs
  jobs, at = read(at)
  group(batch, jobs)
end
live_out(live)
local said = table.concat(marks)
call('HDEL', me, 'marks') -- a removal first: what follows is then allowed over maxmemory
call('HSET', me, 'sset', number, 'marks', said)
return {1, said}
