--[[
  Deletes what processes that still run re-created of a retired queue: `new Queue()` writes meta,
  an idle worker stalled-check. No `id`: no job was added since the close. Finished jobs stay, and
  so does a meta with settings or a pause: somebody meant them.
    KEYS    none; on a Cluster one key of the queue's slot
    ARGV[1] base
  Returns how many keys were deleted.
]]
--@include "unfinished"
--@include "fixed"
local base = ARGV[1]

if redis.call('EXISTS', base .. 'id', base .. 'completed', base .. 'failed') > 0 then return 0 end
if unfinished(base) > 0 then return 0 end

local keepsMeta = false
for _, field in ipairs(redis.call('HKEYS', base .. 'meta')) do
  if field ~= 'version' and string.sub(field, 1, 5) ~= 'opts.' then keepsMeta = true end
end
local names = {}
for _, key in ipairs(fixedKeys(base)) do
  if not (keepsMeta and key == base .. 'meta') then names[#names + 1] = key end
end
return redis.call('UNLINK', unpack(names))
