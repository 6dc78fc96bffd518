-- Everything of a queue that still has to happen. `base` is '<prefix>:<queue>:'.

-- BullMQ v4 keeps markers '0:<ms>' among the jobs of wait (and of paused, which is wait renamed);
-- v4 addJob and getCounts look at the ends, so a longer list is looked at there only. The time is
-- a delayed job's score / 0x1000, so from the 205th id on it may have a fraction.
local function isMarker(base, element)
  return element ~= false and string.find(element, '^0:%d+%.?%d*$') ~= nil
    and redis.call('EXISTS', base .. element) == 0
end

local function countMarkers(base, elements)
  local markers = 0
  for _, element in ipairs(elements) do
    if isMarker(base, element) then markers = markers + 1 end
  end
  return markers
end

local function listed(base, name)
  local key = base .. name
  local length = redis.call('LLEN', key)
  if length == 0 then return 0 end
  if length <= 16 then
    return length - countMarkers(base, redis.call('LRANGE', key, 0, -1))
  end
  local ends = { redis.call('LINDEX', key, 0), redis.call('LINDEX', key, -1) }
  return length - countMarkers(base, ends)
end

-- waiting, paused, active, delayed, prioritized, waiting-children, schedulers; nil: all are 0,
-- which one look tells (Redis has no empty lists and sets, and most queues are idle)
local function unfinishedCounts(base)
  if redis.call('EXISTS', base .. 'wait', base .. 'paused', base .. 'active', base .. 'delayed',
      base .. 'prioritized', base .. 'waiting-children', base .. 'repeat') == 0 then
    return nil
  end
  return {
    listed(base, 'wait'),
    listed(base, 'paused'),
    redis.call('LLEN', base .. 'active'),
    redis.call('ZCARD', base .. 'delayed'),
    redis.call('ZCARD', base .. 'prioritized'),
    redis.call('ZCARD', base .. 'waiting-children'),
    redis.call('ZCARD', base .. 'repeat'),
  }
end

local function unfinished(base)
  local sum = 0
  for _, count in ipairs(unfinishedCounts(base) or {}) do sum = sum + count end
  return sum
end
