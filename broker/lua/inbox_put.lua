-- inbox_put - places one thing taken from the inbox: a job, the end of a batch, or a dead letter.
--
-- ARGV  1 incarnation  2 field  3 kind: 'job', 'end', 'dead' (what is no job) or 'dead end'
--       4 batch; '': a dead one names none  5 id, '' for none  6 user, '' for none
--       7 nonce for a new batch  8 keep, s
--       job: 9 PRIORITY/LANE/MODEL  10 digest of the msgpack  11 msgpack map
--       end: 9 total  dead: 9 reason  10 the first of its bytes  11 how many it has
-- Returns {1} placed; {2} a repeat, dropped; {0} no longer ours; {-1} the lease is lost;
-- {-2} it went to the dead letters.
--
-- A batch ends when what is in, alone or with what was refused, comes to the total. Both are counted
-- once for each id, so that what is pushed again, for its answer was lost, ends no batch too early;
-- `ids` has the index of a job, or 'r' of what was refused, under its id, or under a byte that no
-- id begins with.
local inc, field, kind, batch, id, user = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6]
local now = now_ms()
if not alive(inc, now) then return {-1} end
if call('HDEL', P .. 'a:' .. inc, field) == 0 then return {0} end

local function letter(why)
  local of = {batch = batch, code = 'bad_request', message = why, ts = now}
  local bytes = kind == 'job' and ARGV[11] or kind ~= 'end' and ARGV[10] or ''
  of.size = kind == 'job' and #bytes or tonumber(ARGV[11] or 0)
  call('RPUSH', P .. 'dead', cmsgpack.pack(of, bytes))
  return {-2}
end
if batch == '' then return letter(ARGV[9]) end

local key, ids = P .. 'b:' .. batch, P .. 'ids:' .. batch
local b = call('HMGET', key, 'hw', 'sealed', 'user', 'paused', 'maxin', 'inbox', 'seal_at', 'run',
  'refused')
local dead = (kind == 'dead' or kind == 'dead end') and ARGV[9]
if b[1] and not b[6] then return letter(dead or 'the batch was submitted by another way') end
if not b[1] then -- the end may come before the jobs, for several workers take from the inbox
  call('HSET', key, 'nonce', ARGV[7], 'digest', 'inbox', 'inbox', '1', 'total', '-1', 'user',
    'default', 'keep', ARGV[8], 'on_unknown', 'retry', 'options', '\128', 'created', int(now),
    'sealed', '0', 'hw', '0', 'open', '0', 'completed', '0', 'failed', '0', 'cancelled', '0', 'run',
    '1', 'ev', '0', 'cost', '0', 'unknown', '0', 'calls', '0', 'images', '0', 'in_tokens', '0',
    'out_tokens', '0', 'bytes', '0', 'retries', '0', 'orphaned', '0', 'maxin', '1', 'in_bytes', '0')
  -- What housekeeping has not removed yet of a batch that had the name is not to be removed of this.
  call('ZREM', P .. 'expiring', batch)
  unkeep_images(batch)
  call('ZADD', P .. 'batches', int(now), batch)
  emit(batch, {event('submitted', 1, 0, now, '', {total = -1})})
  b = {'0', '0', 'default', false, '1', '1', false, '1', '0'}
end
local index, sealed, run = tonumber(b[1]), b[2] == '1', tonumber(b[8])
local seal_at, refused = tonumber(b[7]), tonumber(b[9] or 0)

local function seal_if_whole()
  if seal_at ~= index and seal_at ~= index + refused then return end
  call('HSET', key, 'sealed', '1', 'total', index)
  finish_if_done(batch, now)
end

-- A dead letter that those who watch the batch hear of.
local function refuse(why)
  if not sealed then
    local map = {step = 'refused', code = 'bad_request', message = why}
    emit(batch, {event('step', run, 0, now, id, map)})
  end
  return letter(why)
end

-- One that was to be a job, and counts for the end.
local function refuse_job(why)
  refuse(why)
  local name = id ~= '' and id or '\255' .. call('HGET', key, 'ev')
  if sealed or call('HEXISTS', ids, name) == 1 then return {-2} end
  call('HSET', ids, name, 'r')
  refused = call('HINCRBY', key, 'refused', 1)
  seal_if_whole()
  return {-2}
end

if kind == 'dead end' then return refuse(dead) end
if dead then return refuse_job(dead) end

if kind == 'end' then
  local total = tonumber(ARGV[9])
  if total == (seal_at or sealed and index) then return {2} end
  if sealed then return letter('the end of the batch was told before, with another total') end
  if total < index then return refuse('the batch has ' .. index .. ' jobs already') end
  seal_at = total
  call('HSET', key, 'seal_at', total)
  seal_if_whole()
  return {1}
end

local name = id ~= '' and id or string.format('%08d', index)
local known = call('HGET', ids, name)
if known and known ~= 'r' then
  emit(batch, {event('step', run, 0, now, name, {step = 'duplicate'})})
  return {2}
end
if sealed then return letter('the batch takes no more jobs') end
if index >= 16777216 then return refuse_job('the batch takes no more jobs') end
local owner = b[3]
if index == 0 then owner = user ~= '' and user or 'default' end -- its first job's
if user ~= '' and user ~= owner then
  return refuse_job('the batch is of user ' .. owner .. ', and this job of user ' .. user)
end
local input = ARGV[10] .. struct.pack('>I2', #name) .. name .. ARGV[11]
if known then refused = call('HINCRBY', key, 'refused', -1) end -- it has been put right
call('HSET', ids, name, index)
call('HSET', P .. 'in:' .. batch, index, input)
call('HSET', key, 'hw', index + 1, 'maxin', math.max(tonumber(b[5]), #input), 'user', owner)
call('HINCRBY', key, 'open', 1)
add_bytes(batch, #input)
local list = ARGV[9] .. '/' .. batch
call('SADD', P .. 'ls:' .. batch, list)
push(list, owner, b[4], {struct.pack('>I4I2', index, 1) .. '\0\0\0\0'})
call('RPUSH', P .. 'live', '')
index = index + 1
seal_if_whole()
return {1}
