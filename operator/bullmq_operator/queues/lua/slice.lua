--[[
  Deletes some finished jobs, completed ones first. Cannot delete an unfinished one.
    KEYS    none; on a Cluster one key of the queue's slot
    ARGV[1] base
    ARGV[2] stamp of the proof, '' for none
    ARGV[3] until when, in ms of Redis's clock, the call may be carried out
    ARGV[4] how many jobs at most (<= 400: 7 names each, and Lua's stack holds 8000)
    ARGV[5] .. ids of jobs named like a queue that shares our base: their sub-keys may be its own
  Returns {deleted, '', microseconds} or a refusal of the guard, or
    {-5, key of a parent that still waits for one of the failed jobs, 0}
]]
--@include "guard"
--@include "waiting-parent"
--@include "job-parts"
--@include "clock"
local base = ARGV[1]
local began = microseconds()

local refusal = guard(base, ARGV[2], ARGV[3])
if refusal then return refusal end

local index, last = base .. 'completed', tonumber(ARGV[4]) - 1
local ids = redis.call('ZRANGE', index, 0, last)
if #ids == 0 then
  index = base .. 'failed'
  ids = redis.call('ZRANGE', index, 0, last)
  for _, id in ipairs(ids) do
    local parent = waitingParent(base, id)
    if parent ~= '' then return { -5, parent, 0 } end
  end
end
if #ids == 0 then return { 0, '', 0 } end

local namesakes = {}
for i = 5, #ARGV do namesakes[ARGV[i]] = true end

local names = {}
for _, id in ipairs(ids) do
  local key, n = base .. id, #names
  names[n + 1] = key
  if namesakes[id] then
    addOwnParts(names, key)
  else  -- without a look at each: it would take as long as the deletion
    names[n + 2] = key .. ':logs'
    names[n + 3] = key .. ':dependencies'
    names[n + 4] = key .. ':processed'
    names[n + 5] = key .. ':unsuccessful'
    names[n + 6] = key .. ':lock'
    names[n + 7] = key .. ':failed'
  end
end
redis.call('UNLINK', unpack(names))
redis.call('ZREMRANGEBYRANK', index, 0, #ids - 1)

return { #ids, '', microseconds() - began }
