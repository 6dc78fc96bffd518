-- The keys that a queue has one of; the same list as FIXED in keys.py (a test compares them).
local FIXED = {
  'wait', 'paused', 'active', 'delayed', 'prioritized', 'waiting-children', 'repeat',
  'completed', 'failed', 'meta', 'id', 'events', 'marker', 'pc', 'limiter', 'stalled',
  'stalled-check', 'delay', 'priority', 'metrics:completed', 'metrics:completed:data',
  'metrics:failed', 'metrics:failed:data',
}

local function fixedKeys(base)
  local keys = {}
  for i, name in ipairs(FIXED) do keys[i] = base .. name end
  return keys
end
