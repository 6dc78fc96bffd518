--@include "unfinished"
--@include "stamp"
--@include "fixed"

-- The head of every deleting script. A BullMQ add is one atomic script that puts its job into an
-- index and moves the stamp; so is ours. Whichever runs first, no unfinished job is deleted.
-- Returns nil, or the refusal {code, detail, 0}:
--   -3  n unfinished jobs        -4  the stamp that is there now        -7  late by so many ms
-- A call that comes later than its sender waits for an answer (it stood in the buffer of a Redis
-- that hung, say) does nothing: its sender may have gone on to a rollback, and a close takes the
-- queue's settings along.
-- A queue of which no fixed key is left was closed before (a retry after a crash): nothing of it
-- can be unfinished, so there is no stamp to compare.
local function guard(base, stamp, deadline)
  local time = redis.call('TIME')
  local late = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000) - tonumber(deadline)
  if late > 0 then return { -7, tostring(late), 0 } end
  local count = unfinished(base)
  if count > 0 then return { -3, tostring(count), 0 } end
  local now = currentStamp(base)
  if type(now) == 'table' then return now end
  if now == stamp then return nil end
  if redis.call('EXISTS', unpack(fixedKeys(base))) == 0 then return nil end
  return { -4, now, 0 }
end
