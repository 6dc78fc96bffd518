-- The last-generated-id of the queue's events stream; '' when there is no stream.
-- It survives trims, also to length 0, and restarts.
local function currentStamp(base)
  local key = base .. 'events'
  if redis.call('EXISTS', key) == 0 then return '' end
  local info = redis.call('XINFO', 'STREAM', key)
  for i = 1, #info, 2 do
    if info[i] == 'last-generated-id' then return info[i + 1] end
  end
  return redis.error_reply('ERR XINFO STREAM names no last-generated-id')
end
