--[[
  Puts archived jobs into a queue, in one step with their places in its indexes, or tells what is
  there under their ids. Never changes a job that is there.
    KEYS    none; on a Cluster one key of the queue's slot
    ARGV[1] base
    ARGV[2] 'look', 'refuse' (nothing of the call is written if one id is another job's), 'skip'
    ARGV[3] .. for each job: id, index, score or '', fields n, name, value ...,
            then logs n ..., dependencies n ..., processed n ..., failed n ..., unsuccessful n ...
  Returns for each: 0 it was absent (and now is there), 1 this very job is there, 2 another is.
]]
local base, mode = ARGV[1], ARGV[2]
local MOST = 1000 -- arguments of one command; Lua's stack holds 8000
local MAX_EVENTS = 10000 -- BullMQ's own default

local at = 3
local function take()
  at = at + 1
  return ARGV[at - 1]
end

local function several()
  local values = {}
  for i = 1, tonumber(take()) do values[i] = take() end
  return values
end

local function parsed()
  return {
    id = take(), index = take(), score = take(), hash = several(), logs = several(),
    dependencies = several(), processed = several(), failed = several(), unsuccessful = several(),
  }
end

local function write(command, key, values)
  for first = 1, #values, MOST do
    redis.call(command, key, unpack(values, first, math.min(first + MOST - 1, #values)))
  end
end

-- What a job keeps all its life; another job may have the same id once a queue began anew.
local function found(job)
  local key = base .. job.id
  local kind = redis.call('TYPE', key).ok
  if kind == 'none' then return 0 end
  if kind ~= 'hash' then return 2 end
  for i = 1, #job.hash, 2 do
    local name = job.hash[i]
    if name == 'name' or name == 'data' or name == 'timestamp' then
      if redis.call('HGET', key, name) ~= job.hash[i + 1] then return 2 end
    end
  end
  return 1
end

local isPaused = redis.call('HEXISTS', base .. 'meta', 'paused') == 1

-- v4 and v5 keep the waiting jobs of a paused queue in a list of its own, and resume by renaming
-- it; v6 leaves them in wait (BullMQ includes/getTargetQueueList).
local function waitingList()
  if not isPaused then return 'wait' end
  if redis.call('EXISTS', base .. 'paused') == 1 then return 'paused' end
  local version = redis.call('HGET', base .. 'meta', 'version') or ''
  local major = tonumber(string.match(version, ':(%d+)') or '')
  return (major or 5) < 6 and 'paused' or 'wait'
end
local waiting = waitingList()

local function put(job)
  local key = base .. job.id
  write('HSET', key, job.hash)
  write('RPUSH', key .. ':logs', job.logs)
  write('SADD', key .. ':dependencies', job.dependencies)
  write('HSET', key .. ':processed', job.processed)
  write('HSET', key .. ':failed', job.failed)
  write('ZADD', key .. ':unsuccessful', job.unsuccessful)
  if job.index == 'wait' then
    redis.call('RPUSH', base .. waiting, job.id)
  else
    redis.call('ZADD', base .. job.index, job.score, job.id)
  end
end

-- As BullMQ's includes/addBaseMarkerIfNeeded and addDelayMarkerIfNeeded: workers wake up. Without
-- them they would find the jobs at their next look. BullMQ v4 does not read this key.
local function wake()
  if isPaused then return end
  if redis.call('EXISTS', base .. 'wait', base .. 'prioritized') > 0 then
    redis.call('ZADD', base .. 'marker', 0, '0')
  end
  local first = redis.call('ZRANGE', base .. 'delayed', 0, 0, 'WITHSCORES')
  if first[2] then redis.call('ZADD', base .. 'marker', tonumber(first[2]) / 0x1000, '1') end
end

local jobs, answers, others = {}, {}, 0
while at <= #ARGV do
  local job = parsed()
  jobs[#jobs + 1] = job
  answers[#jobs] = found(job)
  if answers[#jobs] == 2 then others = others + 1 end
end
if mode == 'look' or (mode == 'refuse' and others > 0) then return answers end

local written = 0
for i, job in ipairs(jobs) do
  if answers[i] == 0 then
    put(job)
    written = written + 1
  end
end
if written > 0 then
  wake()
  -- Moves the stamp: a retirement that goes on elsewhere sees that something happened.
  local most = redis.call('HGET', base .. 'meta', 'opts.maxLenEvents') or MAX_EVENTS
  redis.call('XADD', base .. 'events', 'MAXLEN', '~', most, '*', 'event', 'restored', 'count', written)
end
return answers
