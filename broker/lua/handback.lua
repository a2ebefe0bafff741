-- handback - gives back what an incarnation holds and does not know of: its memory ran out when
-- they were claimed, or the server has lost what the worker said since (in a failover). Unsent jobs,
-- and things of the inbox, go back as they were; of what was sent nobody knows what came of it, as
-- when a worker is lost.
--
-- ARGV  1 incarnation  2.. SEQ:SLOT, up to 1,000
-- Returns {1, given back}; {-1} the lease is lost.
local inc = ARGV[1]
if not alive(inc, now) then return {-1} end
local key = P .. 'a:' .. inc
local gone, all, unsent, sent, inbox = {}, {}, {}, {}, {}
for i, v in ipairs(call('HMGET', key, unpack(ARGV, 2))) do
  if v then
    gone[#gone + 1] = ARGV[1 + i]
    all[#all + 1] = v
    if string.byte(v) == 105 then -- 'i'
      inbox[#inbox + 1] = string.sub(v, 2)
    else
      local list = list_of(v)
      local _, _, batch = list_parts(list)
      if was_sent(v) then
        sent[batch] = sent[batch] or {}
        table.insert(sent[batch], v)
      else
        unsent[batch] = unsent[batch] or {}
        unsent[batch][list] = unsent[batch][list] or {}
        table.insert(unsent[batch][list], string.sub(v, 2, 1 + TICKET))
      end
    end
  end
end
if #gone == 0 then return {1, 0} end
call('HDEL', key, unpack(gone))
end_leads(inc, gone)
if #inbox > 0 then call('LPUSH', P .. 'inbox', unpack(inbox)) end
for batch, lists in pairs(unsent) do back(batch, lists) end
spend(inc, gone, all)
for batch, values in pairs(sent) do recover(inc, batch, values) end
return {1, #gone}
