--[[
  Raises a counter of the queue; never lowers it.
    KEYS    none; on a Cluster one key of the queue's slot
    ARGV[1] base
    ARGV[2] 'id' or 'pc'
    ARGV[3] the least that it should be
  Returns what it is.
]]
local key, least = ARGV[1] .. ARGV[2], tonumber(ARGV[3])
local now = tonumber(redis.call('GET', key) or '0')
if now >= least then return now end
redis.call('SET', key, ARGV[3])
return least
