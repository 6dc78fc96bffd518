--[[
  Deletes classified residue, after the slices and before the close.
    KEYS    none; on a Cluster one key of the queue's slot
    ARGV[1] base
    ARGV[2] stamp of the proof, '' for none
    ARGV[3] until when, in ms of Redis's clock, the call may be carried out
    ARGV[4] .. full names of keys, all below base
  Returns {deleted, '', 0} or a refusal of the guard; finished jobs that are there again are -4.
]]
--@include "guard"
local base = ARGV[1]

local refusal = guard(base, ARGV[2], ARGV[3])
if refusal then return refusal end
if redis.call('EXISTS', base .. 'completed', base .. 'failed') > 0 then
  return { -4, currentStamp(base), 0 }
end

local names = {}
for i = 4, #ARGV do
  if string.sub(ARGV[i], 1, #base) ~= base then
    return redis.error_reply('ERR a key to sweep is not below the base')
  end
  names[#names + 1] = ARGV[i]
end
return { redis.call('UNLINK', unpack(names)), '', 0 }
