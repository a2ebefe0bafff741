-- op_list - the remote batches there are, for people to see.
--
-- Returns {{operation, incarnation, state, name, batch, model, project, created, made or '', jobs
-- that are not settled, as its worker said last}, ...}, up to 200.
local out = {}
for _, op in ipairs(call('ZREVRANGE', P .. 'ops', 0, 199)) do
  local b = call('HMGET', P .. 'bo:' .. op, 'inc', 'state', 'name', 'batch', 'model', 'project',
    'created', 'made', 'jobs')
  if b[1] then
    local flight = call('HMGET', P .. 'w:' .. b[1], 'flight')[1]
    local one = {op, b[1]}
    for i = 2, 8 do one[i + 1] = b[i] or '' end
    one[10] = flight or b[9] or ''
    out[#out + 1] = one
  end
end
return out
