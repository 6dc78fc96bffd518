--[[
  Deletes the queue's fixed keys in one call, the end of a retirement. What is left in wait or
  paused are markers: the guard counted everything else.
    KEYS    none; on a Cluster one key of the queue's slot
    ARGV[1] base
    ARGV[2] stamp of the proof, '' for none
    ARGV[3] until when, in ms of Redis's clock, the call may be carried out
  Returns {deleted, '', 0} or a refusal of the guard; finished jobs that are there again are -4.
]]
--@include "guard"
local base = ARGV[1]

local refusal = guard(base, ARGV[2], ARGV[3])
if refusal then return refusal end
if redis.call('EXISTS', base .. 'completed', base .. 'failed') > 0 then
  return { -4, currentStamp(base), 0 }
end
return { redis.call('UNLINK', unpack(fixedKeys(base))), '', 0 }
