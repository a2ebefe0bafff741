-- lead - asks for jobs, before their calls are made, who else makes the same request. May be sent
-- twice; one that comes in late, when its answer was acted upon long ago, does nothing.
--
-- ARGV  1 incarnation  2 number of this request, rising
--       then, up to 500 times: SEQ:SLOT, digest of the request, ms for which an outcome is shared,
--       digest u32 of the job's input, BATCH/INDEX of an image that was not to be had or ''
-- Returns {1, answer, ...}, an answer a job; {-1} the lease is lost.
--       {'l'} it makes the call, for others as well
--       {'L', batch, index, nonce, input} so it does, but who led before may have stored an image
--       {'d', batch, index, nonce, input} that job's image is its own as well
--       {'r', event, batch} refused, as that failed event of a job of that batch says
--       {'p'} somebody makes the call: it has left the worker, and comes again when that has ended
--       {'0'} no longer ours
local inc, number, now = ARGV[1], tonumber(ARGV[2]), now_ms()
if not alive(inc, now) then return {-1} end
local me, key, EACH = P .. 'w:' .. inc, P .. 'a:' .. inc, 5
if number < tonumber(call('HGET', me, 'lmark') or 0) then return {1} end
local AGAIN = 120000   -- ms until a follower asks by itself
local LIFE = 86400000  -- ms that a request is led at most
local fields, answers = {}, {1}
for i = 3, #ARGV, EACH do fields[#fields + 1] = ARGV[i] end
local values = call('HMGET', key, unpack(fields))
local requests, batches, leads, parked = {}, {}, {}, {}

local function request_of(digest)
  local r = requests[digest]
  if not r then
    local f = call('HMGET', P .. 'dd:' .. digest, 'by', 'state', 'ts', 'batch', 'index', 'nonce',
      'input', 'event')
    r = {by = f[1], state = f[2], ts = tonumber(f[3] or 0), batch = f[4], index = f[5], nonce = f[6],
      input = f[7], event = f[8]}
    if r.by and not is_led(r.by) then r.by = nil end
    requests[digest] = r
  end
  return r
end

local function batch_of(list)
  local _, _, batch = list_parts(list)
  local b = batches[batch]
  if not b then
    local f = call('HMGET', P .. 'b:' .. batch, 'nonce', 'reopened_at')
    b = {name = batch, nonce = f[1] or '', reopened = tonumber(f[2] or 0)}
    batches[batch] = b
  end
  return b
end

local function lead(r, i, at, b, index)
  local digest, field = ARGV[at + 1], fields[i]
  local answer = {'l'}
  local last = r.batch and r.batch .. '/' .. r.index
  if last and not r.state and last ~= ARGV[at + 4] and last ~= b.name .. '/' .. index then
    answer = {'L', r.batch, r.index, r.nonce, r.input}
  end
  r.by, r.state, r.batch, r.index = inc .. ' ' .. field, nil, b.name, int(index)
  r.nonce, r.input = b.nonce, ARGV[at + 3]
  leads[#leads + 1] = {digest = digest, field = field, within = ARGV[at + 2], r = r}
  return answer
end

local function decide(i, v)
  if not v or string.byte(v) == 105 then return {'0'} end -- 'i', of the inbox
  local at = 3 + (i - 1) * EACH
  local r, list, index = request_of(ARGV[at + 1]), list_of(v), struct.unpack('>I4', v, 2)
  local b, mine = batch_of(list), inc .. ' ' .. fields[i]
  if r.by == mine then return {'l'} end
  if r.by then
    parked[#parked + 1] = {field = fields[i], member = string.sub(v, 2, 1 + TICKET) .. list, batch = b.name,
      digest = ARGV[at + 1]}
    return {'p'}
  end
  local fresh, last = now - r.ts <= tonumber(ARGV[at + 2]), (r.batch or '') .. '/' .. (r.index or '')
  if fresh and r.state == 'refused' and r.event and r.ts >= b.reopened then return {'r', r.event, r.batch} end
  if fresh and r.state == 'done' and last ~= ARGV[at + 4] and last ~= b.name .. '/' .. index then
    return {'d', r.batch, r.index, r.nonce, r.input}
  end
  return lead(r, i, at, b, index)
end

for i, v in ipairs(values) do answers[1 + i] = decide(i, v) end
call('HSET', me, 'lmark', number, 'leads', '1') -- first: refused over maxmemory
for _, l in ipairs(leads) do
  local request = P .. 'dd:' .. l.digest
  call('HDEL', request, 'state', 'ts', 'event')
  call('HSET', request, 'by', l.r.by, 'batch', l.r.batch, 'index', l.r.index, 'nonce', l.r.nonce,
    'input', l.r.input, 'within', l.within)
  call('PEXPIRE', request, LIFE)
  call('HSET', P .. 'dl:' .. inc, l.field, l.digest)
end
local due = int(now + AGAIN)
for _, p in ipairs(parked) do
  call('HDEL', key, p.field)
  call('ZADD', P .. 'd:' .. p.batch, due, p.member)
  local first = call('ZRANGE', P .. 'd:' .. p.batch, 0, 0, 'WITHSCORES')
  call('ZADD', P .. 'delayed', first[2], p.batch)
  call('SADD', P .. 'dw:' .. p.digest, p.member)
  call('PEXPIRE', P .. 'dw:' .. p.digest, 2 * LIFE)
end
return answers
