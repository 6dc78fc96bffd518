--[[
  Removes finished jobs that are older, or more, than are to be kept; the oldest first.
    KEYS    none; on a Cluster one key of the queue's slot
    ARGV[1] base
    ARGV[2] 'completed' or 'failed'
    ARGV[3] age in ms above which a job goes, '' for any age
    ARGV[4] how many jobs stay at most, '' for any number
    ARGV[5] how many of the oldest to pass over: earlier calls kept them
    ARGV[6] how many jobs to look at (<= 400: 7 names each, and Lua's stack holds 8000)
  Returns {removed, kept, bytes of one of the removed or 0, microseconds}; fewer looked at than asked
  for (removed + kept) means that no more are due.
  A failed job that a parent still waits for is kept: its removal would release the parent.
]]
--@include "waiting-parent"
--@include "job-parts"
--@include "clock"
local base, index = ARGV[1], ARGV[1] .. ARGV[2]
local began, time, cutoff = microseconds(), redis.call('TIME'), -1
if ARGV[3] ~= '' then
  cutoff = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000) - tonumber(ARGV[3])
end
local excess = 0
if ARGV[4] ~= '' then excess = redis.call('ZCARD', index) - tonumber(ARGV[4]) end

local first = tonumber(ARGV[5])
local jobs = redis.call('ZRANGE', index, first, first + tonumber(ARGV[6]) - 1, 'WITHSCORES')
local names, gone, kept, bytes = {}, {}, 0, 0
for i = 1, #jobs, 2 do
  local id, finished, rank = jobs[i], tonumber(jobs[i + 1]), first + (i - 1) / 2
  if finished > cutoff and rank >= excess then break end
  local key = base .. id
  if waitingParent(base, id) ~= '' then
    kept = kept + 1
  else
    gone[#gone + 1] = id
    names[#names + 1] = key
    addOwnParts(names, key)
    -- As BullMQ does when a job is removed (removeDeduplicationKeyIfNeededOnRemoval.lua).
    local deduplication = redis.call('HGET', key, 'deid')
    if deduplication and redis.call('GET', base .. 'de:' .. deduplication) == id then
      names[#names + 1] = base .. 'de:' .. deduplication
    end
  end
end
if #gone > 0 then
  local size = redis.pcall('MEMORY', 'USAGE', base .. gone[1])  -- an ACL may refuse it
  if type(size) == 'number' then bytes = size end
  redis.call('ZREM', index, '')  -- no job: a user who may not is refused before anything is done
  redis.call('UNLINK', unpack(names))
  redis.call('ZREM', index, unpack(gone))
end
return { #gone, kept, bytes, microseconds() - began }
