-- leads.lua - requests that are made once and shared: who makes them, and who waits for that.
--
-- dd:DIGEST  by       'INC SEQ:SLOT' of the job that leads: the one that makes the call. A lead
--                     is held with the job, and ends when that leaves its worker, however it does
--            batch, index, nonce, input   of the job that leads, or led last
--            state    'done': its image is stored; 'refused': the request itself was; else none
--            ts       when that was, ms   event   failed, of a refusal   within   ms it is kept
-- dl:INC     SEQ:SLOT -> DIGEST: what a worker's jobs lead
-- dw:DIGEST  who follows: tickets in their batches' delayed sets, brought forward when the lead
--            ends. They come due by themselves all the same, for these names are only hints.
-- wakes      digests of which not all followers could be brought forward in one call
local MOST_WOKEN = 1000 -- followers in one call
local woken = 0

-- Whether the job that leads is with a worker still, or on its way back from a lost one.
local function is_led(by)
  local inc, field = string.match(by, '^(.*) (%d+:%d+)$')
  if not inc then return false end
  return call('HEXISTS', P .. 'a:' .. inc, field) == 1 or call('HEXISTS', P .. 'x:' .. inc, field) == 1
end

-- Tickets of one batch out of its delayed set into their ready lists; those that are not there
-- were promoted, or ended, in another way.
local function bring_forward(batch, members)
  local key, gone, lists = P .. 'd:' .. batch, {}, {}
  for i, due in ipairs(call('ZMSCORE', key, unpack(members))) do
    if due then
      local list = string.sub(members[i], 1 + TICKET)
      gone[#gone + 1] = members[i]
      lists[list] = lists[list] or {}
      table.insert(lists[list], string.sub(members[i], 1, TICKET))
    end
  end
  if #gone == 0 then return end
  call('ZREM', key, unpack(gone))
  local b = call('HMGET', P .. 'b:' .. batch, 'user', 'paused', 'nonce')
  if not b[3] then return end
  for list, tickets in pairs(lists) do push(list, b[1], b[2], tickets, true) end
end

local function rouse(digest)
  local room = MOST_WOKEN - woken
  local members = room > 0 and call('SPOP', P .. 'dw:' .. digest, room) or {}
  local batches = {}
  for _, m in ipairs(members) do
    local _, _, batch = list_parts(string.sub(m, 1 + TICKET))
    if batch then
      batches[batch] = batches[batch] or {}
      table.insert(batches[batch], m)
    end
  end
  for batch, all in pairs(batches) do bring_forward(batch, all) end
  woken = woken + #members
  if #members >= room and call('EXISTS', P .. 'dw:' .. digest) == 1 then
    call('RPUSH', P .. 'wakes', digest)
  end
end

-- Jobs have left their worker: what they led is free, and who followed is woken. `outcome` says
-- what is kept of the request: it gets its key and which field it was; without one, where the last
-- leader may have stored an image that nobody told of, it is kept who that was.
local function end_leads(inc, fields, outcome)
  local key, gone = P .. 'dl:' .. inc, {}
  for i, digest in ipairs(call('HMGET', key, unpack(fields))) do
    local request = digest and P .. 'dd:' .. digest
    if digest then gone[#gone + 1] = fields[i] end
    if digest and call('HGET', request, 'by') == inc .. ' ' .. fields[i] then
      call('HDEL', request, 'by')
      if outcome then outcome(request, i) else call('PEXPIRE', request, 3600000) end
      rouse(digest)
    end
  end
  if #gone > 0 then call('HDEL', key, unpack(gone)) end
end

local function forget_request(request)
  call('DEL', request)
end
