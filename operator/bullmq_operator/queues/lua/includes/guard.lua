--@include "unfinished"
--@include "stamp"
--@include "fixed"

-- The head of every deleting script. A BullMQ add is one atomic script that puts its job into an
-- index and moves the stamp; so is ours. Whichever runs first, no unfinished job is deleted.
-- Returns nil, or the refusal {code, detail, 0}:
--   -3  n unfinished jobs        -4  the stamp that is there now
-- A queue of which no fixed key is left was closed before (a retry after a crash): nothing of it
-- can be unfinished, so there is no stamp to compare.
local function guard(base, stamp)
  local count = unfinished(base)
  if count > 0 then return { -3, tostring(count), 0 } end
  local now = currentStamp(base)
  if type(now) == 'table' then return now end
  if now == stamp then return nil end
  if redis.call('EXISTS', unpack(fixedKeys(base))) == 0 then return nil end
  return { -4, now, 0 }
end
