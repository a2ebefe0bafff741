-- sent - marks calls as sent, before their first byte leaves, and reserves what they may cost at
-- worst. May be sent twice: under the same number as long as it was not answered; one that comes in
-- late, when its answer was acted upon long ago, does nothing. A job that was cancelled meanwhile
-- is taken from its worker instead, so that no money is spent on it.
--
-- ARGV  1 incarnation  2 number of this request, rising
--       then, up to 1,000 times, SEQ:SLOT, the worst cost, millionths of USD (-1: not known), the
--       project whose keys the call is made with, '' where the worker has but one, and the state it
--       has then, 's' or 'f', see prelude
-- Returns {1, marks}: marks has a character a job, '1' marked, 'b' the batch's budget has no room
-- for it, now or for any: not marked; 'B' none ever, but for others: it is to be set aside; 'u' the
-- batch has a budget, and what the call may cost is not known: not marked; '0' no longer ours;
-- {-1} the lease is lost.
local inc, number, now = ARGV[1], tonumber(ARGV[2]), now_ms()
if not alive(inc, now) then return {-1} end
local me, key = P .. 'w:' .. inc, P .. 'a:' .. inc
if number < tonumber(call('HGET', me, 'smark') or 0) then return {1, ''} end
local fields, worst = {}, {}
for i = 3, #ARGV, 4 do
  fields[#fields + 1] = ARGV[i]
  worst[#worst + 1] = ARGV[i + 1]
end
local e = examine(key, fields, worst)
local args, kept = {}, {}
for k, i in ipairs(e.sent) do
  local project, state = ARGV[1 + 4 * i], ARGV[2 + 4 * i]
  args[2 * k - 1] = fields[i]
  args[2 * k] = state .. string.sub(e.values[i], 2) .. (project ~= '' and '\0' .. project or '')
end
for k, i in ipairs(e.kept) do kept[2 * k - 1], kept[2 * k] = fields[i], worst[i] end
call('HSET', me, 'smark', number) -- first: refused over maxmemory
if #args > 0 then call('HSET', key, unpack(args)) end
if #kept > 0 then call('HSET', P .. 'rv:' .. inc, unpack(kept)) end
account(e, inc, key, now)
return {1, table.concat(e.marks)}
