-- The sub-keys of a job, with the type that BullMQ gives each; the same as JOB_PARTS in keys.py.
local JOB_PARTS = {
  logs = 'list', dependencies = 'set', processed = 'hash', failed = 'hash', unsuccessful = 'zset',
  lock = 'string',
}

-- Appends the names of those that are there. A job may be named like another queue that shares our
-- base: then `x:failed` may be that queue's index, and `x:logs` or `x:processed` a job of it.
local function addOwnParts(names, key)
  for part, kind in pairs(JOB_PARTS) do
    local name = key .. ':' .. part
    if redis.call('TYPE', name).ok == kind
        and (kind ~= 'hash' or redis.call('HEXISTS', name, 'timestamp') == 0) then
      names[#names + 1] = name
    end
  end
end
