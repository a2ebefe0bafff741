-- settle - says what became of claimed jobs. May be sent twice: the same number gives the same
-- answer. Begins with a removal, so that it works when memory is full.
--
-- ARGV  1 incarnation  2 number of this settle, rising  3 groups
--       per group: batch, n; then n times: SEQ:SLOT, op, delay ms, ticket, figures, events k,
--       and k events
--   op  C completed, F failed, B failed, and so would any job that asks for the same, X cancelled
--       (terminal); R back to the queue after the delay, with the new ticket; S the same, but into
--       the standard lane; N noted: stays with the worker, with the new ticket, and is no longer sent;
--       A as R, set aside, if its batch's budget can have no room for a call of so much as the delay
--       says, in millionths of USD
--   figures  cost i64 (millionths of USD), in_tokens u32, out_tokens u32, bytes u32, images u16,
--       unknown u8, retries u8, calls u8, big-endian, then nothing, or the id of the call that cost
--       it (8 bytes) and what the ledger says of it beside (see prelude.lua), or nothing; '' for none
-- Returns {1, marks}: a character a job in the order given, '1' done, '0' no longer ours, 'd' the
-- job had ended before: its figures count, and of its events those of unknown calls; {-1} the lease
-- is lost.
local inc, number = ARGV[1], ARGV[2]
local now = now_ms()
if not alive(inc, now) then return {-1} end
local me, key = P .. 'w:' .. inc, P .. 'a:' .. inc
local old = call('HMGET', me, 'sset', 'marks', 'leads')
if old[1] == number then return {1, old[2]} end
if old[1] and tonumber(number) < tonumber(old[1]) then return {1, ''} end -- late: answered long ago

local STATE = {C = 1, F = 2, B = 2, X = 3}
local NAME = {'completed', 'failed', 'cancelled'}
local UNKNOWN = TYPE.unknown
-- A job is the place of its first argument; the others stand behind it.
local FIELD, OP, DELAY, TICKET_AT, FIGURES_AT, N_EVENTS, EVENTS = 0, 1, 2, 3, 4, 5, 6

local marks, live, entries = {}, 0, {}
local argv, sub, byte = ARGV, string.sub, string.byte

-- The places of a group's jobs, and where the next group begins.
local function read(at)
  local jobs, p = {}, at + 2
  for i = 1, tonumber(argv[at + 1]) do
    jobs[i] = p
    p = p + EVENTS + argv[p + N_EVENTS]
  end
  return jobs, p
end

-- What was reserved for these calls in the batch's budget is free again; where the outcome is not
-- known it counts as spent.
local function release(batch, ours, fields)
  local spent = 0
  for k, micro in ipairs(unreserve(batch, inc, fields)) do
    local figures = argv[ours.at[k] + FIGURES_AT]
    if figures ~= '' and byte(figures, UNKNOWN_AT) > 0 then spent = spent + micro end
  end
  if spent > 0 then call('HINCRBY', P .. 'b:' .. batch, 'spent', spent) end
end

-- Which of the jobs are ours still, with what the active hash has of them, and which of those are
-- over. All of them leave that hash; the noted ones come back. `mark` is where theirs go.
local function admit(batch, jobs)
  local fields, ours = {}, {n = 0, at = {}, value = {}, index = {}, run = {}, mark = {}, over = {}}
  for i, p in ipairs(jobs) do fields[i] = argv[p + FIELD] end
  local from, n, gone = #marks, 0, {}
  for i, v in ipairs(call('HMGET', key, unpack(fields))) do
    marks[from + i] = '0'
    if v then
      n = n + 1
      gone[n] = fields[i]
      ours.at[n], ours.value[n], ours.mark[n] = jobs[i], v, from + i
      ours.index[n], ours.run[n] = struct.unpack('>I4I2', v, 2)
    end
  end
  if n == 0 then return ours end
  local b = call('HMGET', P .. 'b:' .. batch, 'run', 'reserved', 'user', 'budget')
  ours.n, ours.kept, ours.user, ours.budget = n, b[1], b[3], b[4]
  if (b[2] or '0') ~= '0' then release(batch, ours, gone) end
  local ended, seen = over(batch, ours.kept, ours.index, ours.run), {}
  for k, index in ipairs(ours.index) do
    ours.over[k] = ended[k] or seen[index] -- a job named twice ends once
    seen[index] = true
  end
  call('HDEL', key, unpack(gone))
  return ours
end

-- A ready list's name in the standard lane, which then is one of the batch's.
local function to_standard(batch, list)
  local priority, model = string.match(list, '^(%d)/[^/]+/([^/]+)/')
  local name = priority .. '/standard/' .. model .. '/' .. batch
  call('SADD', P .. 'ls:' .. batch, name)
  return name
end

-- What is kept of a request whose leader has ended: an image, or a refusal that others would get,
-- too; nothing else.
local MOST_EVENT = 8192 -- bytes

local function keep_outcome(request, p)
  local op, n = argv[p + OP], tonumber(argv[p + N_EVENTS])
  local last = n > 0 and argv[p + EVENTS + n - 1] or ''
  if op == 'C' then
    call('HSET', request, 'state', 'done', 'ts', int(now))
  elseif op == 'B' and #last > 0 and #last <= MOST_EVENT then
    call('HSET', request, 'state', 'refused', 'ts', int(now), 'event', last)
  else
    forget_request(request)
    return
  end
  call('PEXPIRE', request, call('HGET', request, 'within'))
end

local function give_up_leads(ours)
  local fields, at = {}, {}
  for k = 1, ours.n do
    local p = ours.at[k]
    if ours.over[k] or argv[p + OP] ~= 'N' then
      fields[#fields + 1] = argv[p + FIELD]
      at[#at + 1] = p
    end
  end
  if #fields == 0 then return end
  end_leads(inc, fields, function(request, i) keep_outcome(request, at[i]) end)
end

-- Where jobs that have not ended go: noted ones back to the worker, others to wait or be claimed.
local function keep_on(batch, notes, ready, due, late)
  if #notes > 0 then call('HSET', key, unpack(notes)) end
  if #late > 0 then delay(batch, due, late) end
  if not next(ready) then return end
  local b = call('HMGET', P .. 'b:' .. batch, 'user', 'paused')
  for list, tickets in pairs(ready) do push(list, b[1], b[2], tickets, true) end
end

-- What is counted of the call of a job that was over: that it was made, and its cost unless who
-- found what it stored has told that. Images count where they complete a job.
local function late_figures(batch, figures)
  local id, money = sub(figures, FIGURES_SIZE + 1, TOLD_AT - 1), sub(figures, 1, 16)
  if id ~= '' and not first_told(batch, id) then money = string.rep('\0', 16) end
  return money .. string.rep('\0', 6) .. sub(figures, 23, 25)
end

-- Those of the jobs that wait for a larger budget, and no others, are named as such.
local function name_aside(batch, ours, aside)
  local key, open = P .. 'mf:' .. batch, {}
  for k, index in ipairs(ours.index) do
    if not ours.over[k] then open[#open + 1] = index end
  end
  if #open > 0 then call('HDEL', key, unpack(open)) end
  if #aside > 0 then call('HSET', key, unpack(aside)) end
  hold_aside(batch, now)
end

local function group(batch, jobs)
  local ours = admit(batch, jobs)
  if old[3] then give_up_leads(ours) end
  local uses, events, notes, ready, due, late, aside = {}, {}, {}, {}, {}, {}, {}
  local indexes, to, ended, count, n_events = {}, {}, 0, {0, 0, 0}, 0
  for k = 1, ours.n do
    local p = ours.at[k]
    local op, figures, list = argv[p + OP], argv[p + FIGURES_AT], list_of(ours.value[k])
    local use = uses[list]
    if not use then
      use = {sums = {}, ends = {completed = 0, failed = 0, cancelled = 0}}
      uses[list] = use
    end
    marks[ours.mark[k]] = ours.over[k] and 'd' or '1'
    local detail = sub(figures, TOLD_AT)
    if ours.over[k] and ours.kept and figures ~= '' then figures = late_figures(batch, figures) end
    if figures ~= '' then add_figures(use.sums, figures) end -- spent, whatever became of the job
    if detail ~= '' and ours.kept then
      entries[#entries + 1] = ledger_entry(now, sub(figures, 1, FIGURES_SIZE), detail)
    end
    for i = p + EVENTS, p + EVENTS + argv[p + N_EVENTS] - 1 do
      if not ours.over[k] or byte(argv[i]) == UNKNOWN then
        n_events = n_events + 1
        events[n_events] = argv[i]
      end
    end
    if not ours.over[k] then
      local state = STATE[op]
      if state then
        ended = ended + 1
        indexes[ended], to[ended] = ours.index[k], state
        count[state] = count[state] + 1
        use.ends[NAME[state]] = use.ends[NAME[state]] + 1
      else
        local ticket = argv[p + TICKET_AT]
        local ms = tonumber(argv[p + DELAY])
        if op == 'S' then list = to_standard(batch, list) end
        if op == 'N' then
          notes[#notes + 1] = argv[p + FIELD]
          notes[#notes + 1] = 'c' .. ticket .. list
        elseif op == 'A' and ms > (most_left(batch) or math.huge) then
          due[#due + 1] = int(ASIDE)
          late[#late + 1] = ticket .. list
          aside[#aside + 1] = ours.index[k]
          aside[#aside + 1] = int(ms)
        elseif ms > 0 and op ~= 'A' then
          due[#due + 1] = int(now + ms)
          late[#late + 1] = ticket .. list
        else
          ready[list] = ready[list] or {}
          table.insert(ready[list], ticket)
        end
      end
    end
  end
  if not ours.kept then return end -- none are ours, or the batch was forgotten
  local name = P .. 'b:' .. batch
  if ended > 0 then set_states(batch, indexes, to) end
  keep_on(batch, notes, ready, due, late)
  for list, use in pairs(uses) do
    local _, lane_model = list_parts(list)
    count_figures(batch, use.sums)
    count_usage(ours.user, lane_model, now, use.sums, use.ends)
  end
  for i, n in ipairs(count) do
    if n > 0 then call('HINCRBY', name, NAME[i], n) end
  end
  if n_events > 0 then emit(batch, events) end
  if ended > 0 then
    live = live + ended
    if call('HINCRBY', name, 'open', -ended) == 0 then finish_if_done(batch, now) end
  end
  if ours.budget then name_aside(batch, ours, aside) end
end

local at = 4
for _ = 1, tonumber(argv[3]) do
  local batch, jobs = argv[at], nil
  jobs, at = read(at)
  group(batch, jobs)
end
live_out(live)
log_calls(now, entries)
local said = table.concat(marks)
call('HDEL', me, 'marks') -- a removal first: what follows is then allowed over maxmemory
call('HSET', me, 'sset', number, 'marks', said)
return {1, said}
