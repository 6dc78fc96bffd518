--@include "fixed"
--@include "move-check"

-- What would become of each job, read only: either how it moves, or why it is left.

local NONE = {} -- of parts, links, ...: most jobs are plain, and a table for each costs time
local PARTS = { ':logs', ':dependencies', ':processed', ':failed', ':unsuccessful' }
local NEVER = {}
for _, name in ipairs(FIXED) do NEVER[name] = true end

-- Ended children of one parent that can be told its new key in one call; about 3 ms of Redis's time.
local MOST_CHILDREN = 500

-- The names under which keys of a job may stand; `<job>:failed` of another type is a key of a
-- queue that shares our base and is called like the job.
local function partsOf(key)
  if redis.call('EXISTS', key .. PARTS[1], key .. PARTS[2], key .. PARTS[3], key .. PARTS[4],
      key .. PARTS[5]) == 0 then
    return NONE
  end
  local found = {}
  for _, part in ipairs(PARTS) do
    local kind = redis.call('TYPE', key .. part).ok
    if kind ~= 'none' and (part ~= ':failed' or kind == 'hash') then found[part] = true end
  end
  return found
end

-- As BullMQ's add looks whether an id is taken.
local function isFree(base, id, taken)
  return not taken[id] and not NEVER[id] and redis.call('EXISTS', base .. id) == 0
end

-- A number came from the source's counter: the target's will come to it, and BullMQ's add writes
-- to the id it drew without a look. A colon is for scheduled jobs, whose ids say when.
local function newId(base, prefix, id, taken)
  local named = prefix .. id
  if not string.find(id, '^%d+$') then
    if not string.find(id, ':', 1, true) and isFree(base, id, taken) then return id end
    named = prefix .. string.gsub(id, ':', '-')
  end
  local name, number = named, 1
  while not isFree(base, name, taken) do
    number = number + 1
    name = named .. '-' .. number
  end
  return name
end

-- Its scheduler's next run: working on it is what makes the one after it (v5, v6
-- updateJobScheduler). v4's ids hold a digest of the key, all end in the time.
local function isSchedulersNext(base, id, rjk)
  local due = rjk and redis.call('ZSCORE', base .. 'repeat', rjk)
  return due and string.sub(id, -#due - 1) == ':' .. due
end

-- All children that have ended; nil when they are too many.
local function childrenOf(key, parts)
  if not (parts[':processed'] or parts[':failed'] or parts[':unsuccessful']) then return NONE end
  if redis.call('HLEN', key .. ':processed') + redis.call('ZCARD', key .. ':unsuccessful')
      + (parts[':failed'] and redis.call('HLEN', key .. ':failed') or 0) > MOST_CHILDREN then
    return nil
  end
  local children = redis.call('HKEYS', key .. ':processed')
  local function take(names)
    for _, name in ipairs(names) do children[#children + 1] = name end
  end
  take(redis.call('ZRANGE', key .. ':unsuccessful', 0, -1))
  if parts[':failed'] then take(redis.call('HKEYS', key .. ':failed')) end
  return children
end

-- The fields that name the parent, for each child that names this one.
local function linksOf(children, key, base, id)
  if #children == 0 then return NONE end
  local links = {}
  for _, child in ipairs(children) do
    local got = redis.pcall('HMGET', child, 'parentKey', 'parent')
    if not got.err and got[1] == key then
      local fields = { 'parentKey', base .. id }
      local ok, parent = pcall(cjson.decode, got[2] or '')
      if ok and type(parent) == 'table' then
        parent.id, parent.queueKey = id, string.sub(base, 1, -2)
        fields[3], fields[4] = 'parent', cjson.encode(parent)
      end
      links[#links + 1] = { child, fields }
    end
  end
  return links
end

-- What the job owns of its deduplication id, to go with it; nil: it can't go now. v4 knows none of
-- it: there a pending add would never become a job, and an owner's key would outlive it.
local function deduplicationOf(source, target, id, name)
  if not name or redis.call('GET', source .. 'de:' .. name) ~= id then return NONE end
  local isPending = redis.call('TYPE', source .. 'dn:' .. name).ok == 'hash'
  if isPending
      and (target.isV4 or redis.call('EXISTS', target.base .. 'dn:' .. name) == 1) then
    return nil
  end
  return {
    name = name,
    ttl = redis.call('PTTL', source .. 'de:' .. name),
    isPassedOn = not target.isV4 and redis.call('EXISTS', target.base .. 'de:' .. name) == 0,
    isPending = isPending,
  }
end

-- v4 counts in other fields, and later majors read those first and write their own (Job.fromJSON):
-- a job with both would never run out of attempts.
local MODERN, OLD = { 'atm', 'stc' }, { 'attemptsMade', 'stalledCounter' }

-- {field, value, ...} to set, and the fields to delete; nothing when it is counted rightly already.
local function countersOf(key, target, attempts, stalls)
  if not (attempts or stalls) then return end
  local wanted = target.isV4 and OLD or MODERN
  local there = redis.call('HMGET', key, unpack(wanted))
  return {
    wanted[1], (tonumber(attempts) or 0) + (tonumber(there[1]) or 0),
    wanted[2], (tonumber(stalls) or 0) + (tonumber(there[2]) or 0),
  }, target.isV4 and MODERN or OLD
end

-- The keys of other queues that are written to for this job.
local function checkFamily(parent, links)
  local refusal = parent and (denied('SREM', parent .. ':dependencies', 'a')
    or denied('SADD', parent .. ':dependencies', 'a'))
  for _, link in ipairs(links) do
    refusal = refusal or denied('HSET', link[1], 'a', 'b')
  end
  return refusal
end

-- Returns the plan {id, newId, ...}; nil and why the job is left; nil, nil and an error reply.
local function planOf(source, target, prefix, id, taken)
  local key = source .. id
  local outdated = target.isV4 and MODERN or OLD
  local got = redis.call('HMGET', key, 'name', 'parentKey', 'rjk', 'deid', unpack(outdated))
  if not got[1] then return nil, string.find(id, '^0:%d+%.?%d*$') and 'Marker' or 'NoJob' end
  if isSchedulersNext(source, id, got[3]) then return nil, 'SchedulersNext' end

  local parts = partsOf(key)
  if parts[':dependencies'] then return nil, 'PendingChildren' end
  local children = childrenOf(key, parts)
  if not children then return nil, 'TooManyChildren' end
  local deduplication = deduplicationOf(source, target, id, got[4])
  if not deduplication then return nil, 'PendingDeduplicated' end

  local name = newId(target.base, prefix, id, taken)
  taken[name] = true
  local parent = got[2] and got[2] ~= ''
    and redis.call('SISMEMBER', got[2] .. ':dependencies', key) == 1 and got[2]
  local links = linksOf(children, key, target.base, name)
  local refusal = checkFamily(parent, links)
  if refusal then return nil, nil, refusal end
  local counters, old = countersOf(key, target, got[5], got[6])
  return {
    id = id, newId = name, name = got[1], parts = parts, parent = parent, links = links,
    deduplication = deduplication, counters = counters, outdated = old,
  }
end
