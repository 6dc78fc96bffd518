--[[
  Looks at keys of one queue for the inventory: what each is, and which index holds it as a job.
    KEYS    none; on a Cluster one key of the queue's slot
    ARGV[1] base
    ARGV[2] '1': search the lists too (their length in time)
    ARGV[3] .. the rest of each key's name
  Returns for each {type, index, is job 1/0, is finished 1/0, parent, fields}
    index   'completed', 'failed', 'delayed', ... or ''
    parent  the key of a parent that still waits for this failed job, or ''
    fields  field names, newline between, of a hash that is no job and small, or ''
  Writes nothing.
]]
--@include "waiting-parent"
local base = ARGV[1]
local ZSETS = { 'completed', 'failed', 'delayed', 'prioritized', 'waiting-children' }
local LISTS = { 'wait', 'active', 'paused' }

local function indexOf(id)
  for _, name in ipairs(ZSETS) do
    if redis.call('ZSCORE', base .. name, id) then return name end
  end
  if ARGV[2] == '1' then
    for _, name in ipairs(LISTS) do
      if redis.call('LPOS', base .. name, id) then return name end
    end
  end
  return ''
end

local function look(rest)
  local key = base .. rest
  local kind = redis.call('TYPE', key).ok
  local index = indexOf(rest)
  if kind ~= 'hash' then return { kind, index, 0, 0, '', '' } end
  local got = redis.call('HMGET', key, 'timestamp', 'finishedOn')
  if got[1] then
    local parent = index == 'failed' and waitingParent(base, rest) or ''
    return { kind, index, 1, got[2] and 1 or 0, parent, '' }
  end
  local fields = ''
  if redis.call('HLEN', key) <= 32 then fields = table.concat(redis.call('HKEYS', key), '\n') end
  return { kind, index, 0, got[2] and 1 or 0, '', fields }
end

local answers = {}
for i = 3, #ARGV do answers[i - 2] = look(ARGV[i]) end
return answers
