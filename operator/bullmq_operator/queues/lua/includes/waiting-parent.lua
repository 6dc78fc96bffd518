-- The key of a parent that still waits for this failed job, or ''.
-- A failed child without failParentOnFailure and the like stays in its parent's dependencies
-- (BullMQ moveToFinished): the parent waits for ever, and deleting the child releases it.
local function waitingParent(base, id)
  local parent = redis.call('HGET', base .. id, 'parentKey')
  if not parent or parent == '' then return '' end
  if redis.call('SISMEMBER', parent .. ':dependencies', base .. id) == 0 then return '' end
  return parent
end
