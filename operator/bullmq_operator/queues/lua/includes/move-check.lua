--@include "fixed"

-- Redis does not take back what a script wrote before it failed: a job whose hash has moved and
-- whose id has not would be in no index. So whatever can fail fails here, before the first write.
-- Returns nil or an error reply.

local KINDS = {
  wait = 'list', paused = 'list', prioritized = 'zset', delayed = 'zset', active = 'list',
  marker = 'zset', events = 'stream', meta = 'hash', id = 'string', pc = 'string',
}

local function checkTypes(base)
  for name, kind in pairs(KINDS) do
    local found = redis.call('TYPE', base .. name).ok
    if found ~= kind and found ~= 'none' then
      return redis.error_reply('WRONGTYPE ' .. name .. ' is a ' .. found)
    end
    if kind == 'string' and not tonumber(redis.call('GET', base .. name) or '0') then
      return redis.error_reply('WRONGTYPE ' .. name .. ' is no number')
    end
  end
end

-- An error reply when this user must not run the command, or not on this key; before Redis 7 nobody
-- can tell.
local function denied(...)
  local may = redis.acl_check_cmd
  if not may or may(...) then return end
  return redis.error_reply("NOPERM this user has no permissions to run the '"
    .. string.lower(...) .. "' command")
end

-- What every job needs; a job with a family needs more (planOf).
local function checkRights(source, target, index)
  local from, to, job = source .. index, target .. index, target .. '1'
  local commands = {
    { 'RENAME', source .. '1', job }, { 'HSET', job, 'a', 'b' }, { 'HDEL', job, 'a' },
    { 'SET', target .. 'de:1', '1', 'PX', '1' }, { 'UNLINK', source .. 'de:1' },
    { 'LPUSH', target .. 'wait', '1' }, { 'LPUSH', target .. 'paused', '1' },
    { 'LSET', target .. 'wait', '0', '1' }, { 'ZADD', to, '1', '1' },
    { 'ZADD', target .. 'marker', '0', '0' }, { 'INCRBY', target .. 'id', '1' },
    { 'XADD', source .. 'events', '*', 'a', 'b' }, { 'XADD', target .. 'events', '*', 'a', 'b' },
    { 'XTRIM', source .. 'events', 'MAXLEN', '1' }, { 'XTRIM', target .. 'events', 'MAXLEN', '1' },
    { 'LTRIM', from, '0', '1' }, { 'LREM', from, '1', '1' }, { 'ZREM', from, '1' },
  }
  for _, command in ipairs(commands) do
    local refusal = denied(unpack(command))
    if refusal then return refusal end
  end
end

local function checkMove(source, target, index)
  return checkTypes(source) or checkTypes(target) or checkRights(source, target, index)
end
