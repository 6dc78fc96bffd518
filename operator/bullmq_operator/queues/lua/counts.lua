--[[
  Reads queues. Writes nothing, so that a read-only user and a replica may run it.
    KEYS    none; on a Cluster one key of the queue's slot
    ARGV[1] a digit for each queue: '1' asks for its stamp too
    ARGV[2] .. the queues' bases '<prefix>:<queue>:'
  Returns Redis's time '<seconds> <microseconds>', then for each queue
    {unfinished, id, completed, failed, is paused 1/0, has keys 1/0, stamp}
      unfinished  0, or 'waiting paused active delayed prioritized waiting-children schedulers'
  or '!<error>' when this queue could not be read. Numbers, not text: to write them out took a
  fifth of the time.
]]
--@include "unfinished"
--@include "stamp"
--@include "fixed"
local call = redis.call

local function read(base, wantsStamp)
  local counts = unfinishedCounts(base)
  local id = call('GET', base .. 'id') or ''
  local hasKeys = 1
  if id == '' and call('EXISTS', unpack(fixedKeys(base))) == 0 then hasKeys = 0 end
  local stamp = ''
  if wantsStamp then
    stamp = currentStamp(base)
    if type(stamp) == 'table' then error(stamp) end
  end
  return {
    counts and table.concat(counts, ' ') or 0,
    id,
    call('ZCARD', base .. 'completed'),
    call('ZCARD', base .. 'failed'),
    call('HEXISTS', base .. 'meta', 'paused'),
    hasKeys,
    stamp,
  }
end

local time = call('TIME')
local rows = { time[1] .. ' ' .. time[2] }
for i = 2, #ARGV do
  local ok, row = pcall(read, ARGV[i], string.sub(ARGV[1], i - 1, i - 1) == '1')
  if not ok then
    if type(row) == 'table' then row = row.err end
    row = '!' .. tostring(row)
  end
  rows[i] = row
end
return rows
