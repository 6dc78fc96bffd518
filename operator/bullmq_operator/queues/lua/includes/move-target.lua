-- The queue that jobs are moved to, as BullMQ's own adds see it.
--   list       where an add puts a waiting job: v4 and v5 use 'paused' while paused, v6 and Python
--              always 'wait' (v5 includes/getTargetQueueList, v6 includes/addJobInTargetList)
--   isV4       workers block on the wait list itself and are woken by markers in it
--   isHalted   paused, or as many active as its global concurrency allows: nobody is woken
-- Node writes `meta.version` when a Queue is opened; Python writes none.
local function targetOf(base)
  local got = redis.call('HMGET', base .. 'meta', 'version', 'paused', 'concurrency')
  local major = tonumber(string.match(got[1] or '', '^bullmq:(%d+)%.')) or 6
  local maxed = got[3] and redis.call('LLEN', base .. 'active') >= tonumber(got[3])
  return {
    base = base,
    isV4 = major <= 4,
    isPaused = got[2] and true or false,
    isHalted = (got[2] or maxed) and true or false,
    list = got[2] and major <= 5 and 'paused' or 'wait',
  }
end

local function nextDelayed(base)
  local first = redis.call('ZRANGE', base .. 'delayed', 0, 0, 'WITHSCORES')
  return first[2] and tonumber(first[2]) / 0x1000
end

-- v4 includes/addPriorityMarkerIfNeeded and addDelayMarkerIfNeeded
local function wakeV4(target, index)
  local list = target.base .. target.list
  local length = redis.call('LLEN', list)
  if index == 'prioritized' and length == 0 and not target.isPaused then
    redis.call('LPUSH', list, '0:0')
  elseif index == 'delayed' and length <= 1 then
    local due = string.format('%.0f', math.floor(nextDelayed(target.base)))
    local old = length == 1 and string.match(redis.call('LINDEX', list, 0), '^0:(%d+%.?%d*)$')
    if length == 0 then
      redis.call('LPUSH', list, '0:' .. due)
    elseif old and tonumber(old) > tonumber(due) then
      redis.call('LSET', list, 0, '0:' .. due)
    end
  end
end

-- Tells blocked workers that there is something new in `index`.
local function wake(target, index)
  if target.isV4 then
    wakeV4(target, index)
  elseif index == 'delayed' then -- v5, v6 includes/addDelayMarkerIfNeeded
    redis.call('ZADD', target.base .. 'marker', nextDelayed(target.base), '1')
  elseif not target.isHalted then -- v5, v6 includes/addBaseMarkerIfNeeded
    redis.call('ZADD', target.base .. 'marker', 0, '0')
  end
end
