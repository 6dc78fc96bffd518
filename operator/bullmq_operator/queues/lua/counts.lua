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
  local id = redis.call('GET', base .. 'id') or ''
  local hasKeys = '1'
  if id == '' and redis.call('EXISTS', unpack(fixedKeys(base))) == 0 then hasKeys = '0' end
  local stamp = ''
  if wantsStamp then
    stamp = currentStamp(base)
    if type(stamp) == 'table' then error(stamp) end
  end
  return (counts and table.concat(counts, ' ') or '0 0 0 0 0 0 0')
    .. ' ' .. redis.call('ZCARD', base .. 'completed')
    .. ' ' .. redis.call('ZCARD', base .. 'failed')
    .. (redis.call('HEXISTS', base .. 'meta', 'paused') == 1 and '|1|' or '|0|')
    .. id .. '|' .. hasKeys .. '|' .. stamp
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
