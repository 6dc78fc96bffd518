--[[
  Moves some unfinished jobs of one index of a queue to another queue. Before and after, each job
  is whole and in one index of one of them; what must stay is told and left as it is.
    KEYS    none; on a Cluster one key of the slot that both queues share
    ARGV[1] base of the source
    ARGV[2] base of the target
    ARGV[3] 'wait', 'paused', 'prioritized' or 'delayed'
    ARGV[4] how many to pass over: those that were left by the calls before
    ARGV[5] how many to look at, at most 200
    ARGV[6] what goes before an id that can't be kept
  Returns {moved, looked at, is the end reached 1/0, microseconds,
    why one is left, its id, why the next is left, its id, ...}
]]
--@include "move-target"
--@include "move-check"
--@include "move-plan"
--@include "clock"
local call = redis.call
local source, index, prefix = ARGV[1], ARGV[3], ARGV[6]
local MUCH_WORK = 50 -- children to be told; the rest is for the next call
local skipped, most = tonumber(ARGV[4]), tonumber(ARGV[5])
local isList = index == 'wait' or index == 'paused'
local began = microseconds()

local refusal = checkMove(source, ARGV[2], index)
if refusal then return refusal end
local target = targetOf(ARGV[2])

-- Ids in the order in which workers would take them, and the scores of those that have one.
local function read()
  if not isList then
    local found = call('ZRANGE', source .. index, skipped, skipped + most - 1, 'WITHSCORES')
    local ids, scores = {}, {}
    for i = 1, #found, 2 do
      ids[#ids + 1] = found[i]
      scores[found[i]] = found[i + 1]
    end
    return ids, scores
  end
  local found = call('LRANGE', source .. index, -skipped - most, -skipped - 1)
  local ids = {}
  for i = #found, 1, -1 do ids[#ids + 1] = found[i] end
  return ids, {}
end

local function moveDeduplication(deduplication, id)
  local from, to = source .. 'de:' .. deduplication.name, target.base .. 'de:' .. deduplication.name
  if deduplication.isPassedOn and deduplication.ttl == -1 then
    call('SET', to, id)
  elseif deduplication.isPassedOn then
    call('SET', to, id, 'PX', math.max(deduplication.ttl, 1))
  end
  call('UNLINK', from)
  if deduplication.isPending then
    local pending = target.base .. 'dn:' .. deduplication.name
    call('RENAME', source .. 'dn:' .. deduplication.name, pending)
    call('HDEL', pending, 'jid') -- drawn from the source's counter; without it, from the target's
  end
end

local function move(job)
  local from, to = source .. job.id, target.base .. job.newId
  call('RENAME', from, to)
  for part in pairs(job.parts) do call('RENAME', from .. part, to .. part) end
  if job.counters then
    call('HSET', to, unpack(job.counters))
    call('HDEL', to, unpack(job.outdated))
  end
  if job.deduplication.name then moveDeduplication(job.deduplication, job.newId) end
  if job.parent then
    call('SREM', job.parent .. ':dependencies', from)
    call('SADD', job.parent .. ':dependencies', to)
  end
  for _, link in ipairs(job.links) do
    if call('EXISTS', link[1]) == 1 then -- else it has just been moved itself
      call('HSET', link[1], unpack(link[2]))
    end
  end
end

-- As BullMQ tells of an add and of a removal (storeJob, addStandardJob, addDelayedJob, removeJob).
local from, to = source .. 'events', target.base .. 'events'
local function tell(job, score)
  call('XADD', from, '*', 'event', 'removed', 'jobId', job.id, 'prev', index)
  call('XADD', to, '*', 'event', 'added', 'jobId', job.newId, 'name', job.name)
  if index == 'delayed' then
    local due = string.format('%.0f', math.floor(tonumber(score) / 0x1000))
    call('XADD', to, '*', 'event', 'delayed', 'jobId', job.newId, 'delay', due)
  else
    call('XADD', to, '*', 'event', 'waiting', 'jobId', job.newId)
  end
end

local function trim(base)
  local most = call('HGET', base .. 'meta', 'opts.maxLenEvents') or 10000
  call('XTRIM', base .. 'events', 'MAXLEN', '~', most)
end

-- Behind what the target has, in their own order. A priority's order is BullMQ's counter (v4 to
-- v6 includes/getPriorityScore), so it is drawn anew.
local function enqueue(jobs, scores)
  local words = {}
  if isList then
    for i, job in ipairs(jobs) do words[i] = job.newId end
    call('LPUSH', target.base .. target.list, unpack(words))
    return
  end
  local counter = 0
  if index == 'prioritized' then counter = call('INCRBY', target.base .. 'pc', #jobs) - #jobs end
  for i, job in ipairs(jobs) do
    local score = scores[job.id]
    if index == 'prioritized' then
      local priority = math.floor(tonumber(score) / 0x100000000)
      score = string.format('%.0f', priority * 0x100000000 + (counter + i) % 0x100000000)
    end
    words[2 * i - 1], words[2 * i] = score, job.newId
  end
  call('ZADD', target.base .. index, unpack(words))
end

local function dequeue(jobs, isAll)
  if isList and isAll and skipped == 0 then
    call('LTRIM', source .. index, 0, -#jobs - 1)
  elseif isList then
    for _, job in ipairs(jobs) do call('LREM', source .. index, -1, job.id) end
  else
    local words = {}
    for i, job in ipairs(jobs) do words[i] = job.id end
    call('ZREM', source .. index, unpack(words))
  end
end

local ids, scores = read()
local jobs, left, taken, seen, work, looked = {}, {}, {}, {}, 0, 0
for _, id in ipairs(ids) do
  local job, why, denial = nil, 'NoJob', nil
  if not seen[id] then job, why, denial = planOf(source, target, prefix, id, taken) end
  if denial then return denial end
  seen[id] = true
  looked = looked + 1
  if job then
    jobs[#jobs + 1] = job
    work = work + #job.links
  else
    left[#left + 1] = why
    left[#left + 1] = id
  end
  if work > MUCH_WORK then break end
end

if #jobs > 0 then
  for _, job in ipairs(jobs) do
    move(job)
    tell(job, scores[job.id])
  end
  enqueue(jobs, scores)
  dequeue(jobs, #left == 0)
  call('INCRBY', target.base .. 'id', #jobs) -- as every add does, those with an id of their own too
  wake(target, index)
  trim(source)
  trim(target.base)
end

local isEnd = #ids < most and looked == #ids
return { #jobs, looked, isEnd and 1 or 0, microseconds() - began, unpack(left) }
