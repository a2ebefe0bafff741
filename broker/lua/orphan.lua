-- orphan - counts a call whose job its maker could not settle, once: the maker reports it when its
-- lease was lost, and whoever finds what it stored does so, too. That the outcome was unknown was
-- counted when the job was taken back.
--
-- ARGV  1 batch  2 its nonce  3 call id  4 figures, as of settle
--       5 the incarnation that may have settled it already  6 the number of that settle; 0: none
--       7, 8 index and run: only while that is open, for who settled it counted the call; '', '':
--       in any case  9 LANE/MODEL  10 what the ledger says beside the figures, or ''
-- Returns {1, 1} counted; {1, 0} it was before; {0} there is no such batch.
local batch, now = ARGV[1], now_ms()
local key = P .. 'b:' .. batch
local b = call('HMGET', key, 'nonce', 'run', 'user')
if not b[1] or b[1] ~= ARGV[2] then return {0} end
if ARGV[6] ~= '0' then
  local settled = call('HGET', P .. 'w:' .. ARGV[5], 'sset')
  if settled and tonumber(settled) >= tonumber(ARGV[6]) then return {1, 0} end
end
if ARGV[7] ~= '' and over(batch, b[2], {tonumber(ARGV[7])}, {tonumber(ARGV[8])})[1] then
  return {1, 0}
end
if not first_told(batch, ARGV[3]) then return {1, 0} end
local sums = {}
add_figures(sums, ARGV[4])
count_figures(batch, sums)
count_usage(b[3], ARGV[9], now, sums)
if ARGV[10] ~= '' then
  log_calls(now, {ledger_entry(now, string.sub(ARGV[4], 1, FIGURES_SIZE), ARGV[10])})
end
return {1, 1}
