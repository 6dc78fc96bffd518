--[[
  Deletes what processes that still run re-created of a retired queue: `new Queue()` writes meta,
  an idle worker stalled-check. All of it or nothing: after an add (there is an `id`) or with
  finished jobs the queue is in use again, and a meta with settings or a pause was meant.
    KEYS    none; on a Cluster one key of the queue's slot
    ARGV[1] base
  Returns how many keys were deleted, or -3 (jobs), -6 (a pause or settings).
]]
--@include "unfinished"
--@include "fixed"
local base = ARGV[1]

if redis.call('EXISTS', base .. 'id', base .. 'completed', base .. 'failed') > 0
    or unfinished(base) > 0 then
  return -3
end
for _, field in ipairs(redis.call('HKEYS', base .. 'meta')) do
  if field ~= 'version' and string.sub(field, 1, 5) ~= 'opts.' then return -6 end
end
return redis.call('UNLINK', unpack(fixedKeys(base)))
