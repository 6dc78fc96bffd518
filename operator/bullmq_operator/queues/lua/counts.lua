--[[
  Reads queues. Writes nothing, so that a read-only user and a replica may run it.
    KEYS    none; on a Cluster one key of the queue's slot
    ARGV[1] a digit for each queue: '1' asks for its stamp too
    ARGV[2] .. the queues' bases '<prefix>:<queue>:'
  Returns Redis's time '<seconds> <microseconds>', then for each queue one line
    'waiting paused active delayed prioritized waiting-children schedulers completed failed'
    | paused 1/0 | id | has keys 1/0 | stamp
  or '!<error>' when this queue could not be read.
]]
--@include "unfinished"
--@include "stamp"
--@include "fixed"

local function read(base, wantsStamp)
  local counts = unfinishedCounts(base)
  counts[8] = redis.call('ZCARD', base .. 'completed')
  counts[9] = redis.call('ZCARD', base .. 'failed')
  local paused = redis.call('HEXISTS', base .. 'meta', 'paused')
  local id = redis.call('GET', base .. 'id') or ''
  if id ~= '' and not string.find(id, '^%d+$') then return '!NO NUMBER' end
  local hasKeys = id ~= '' and 1 or 0
  if hasKeys == 0 and redis.call('EXISTS', unpack(fixedKeys(base))) > 0 then hasKeys = 1 end
  local stamp = ''
  if wantsStamp then
    stamp = currentStamp(base)
    if type(stamp) == 'table' then error(stamp) end
  end
  return table.concat({ table.concat(counts, ' '), paused, id, hasKeys, stamp }, '|')
end

local time = redis.call('TIME')
local lines = { time[1] .. ' ' .. time[2] }
for i = 2, #ARGV do
  local ok, line = pcall(read, ARGV[i], string.sub(ARGV[1], i - 1, i - 1) == '1')
  if not ok then
    if type(line) == 'table' then line = line.err end
    line = '!' .. tostring(line)
  end
  lines[i] = line
end
return lines
