-- inbox_take - hands what other producers pushed to one incarnation, which must place it with
-- inbox_put; a crash in between gives it back. Resent with the same SEQ it pops nothing.
--
-- ARGV  1 incarnation  2 SEQ, rising together with those of claims  3 most, up to 500
-- Returns {1, server ms, field, bytes, field, bytes, ...}; {-1} the lease is lost.
local inc, seq, now = ARGV[1], tonumber(ARGV[2]), now_ms()
if not alive(inc, now) then return {-1} end
local me, key = P .. 'w:' .. inc, P .. 'a:' .. inc
local last = tonumber(call('HGET', me, 'seq'))
local out = {1, now}
if seq <= last then
  for slot = 1, seq == last and tonumber(call('HGET', me, 'seqn')) or 0 do
    local field = seq .. ':' .. slot
    local v = call('HGET', key, field)
    if v then
      out[#out + 1] = field
      out[#out + 1] = string.sub(v, 2)
    end
  end
  return out
end
call('HSET', me, 'seq', seq, 'seqn', 0) -- of an empty one, too: it may come in late once more
local n, bytes = 0, 0
for _ = 1, tonumber(ARGV[3]) do
  local item = call('LPOP', P .. 'inbox')
  if not item then break end
  n = n + 1
  call('HSET', key, seq .. ':' .. n, 'i' .. item)
  out[#out + 1] = seq .. ':' .. n
  out[#out + 1] = item
  bytes = bytes + #item
  if bytes > 4194304 then break end
end
call('HSET', me, 'seqn', n)
return out
