--[[
  Reads some jobs whole, for an archive: half a millisecond's worth, at least one. Writes nothing.
    KEYS    none; on a Cluster one key of the queue's slot
    ARGV[1] base
    ARGV[2] name of the index, '' for jobs in none
    ARGV[3] its type, 'list' or 'zset'
    ARGV[4] rank of the first
    ARGV[5] how many jobs at most
    ARGV[6] .. ids, when there is no index
  Returns {stamp, element at the rank before, elements looked at, the last of them, job ...}
    job     {id, score or '', fields, part ...}
    part    {name, content}; content '' is for a long part, which is read apart
  Markers of BullMQ v4 are looked at and left out.
]]
--@include "unfinished"
--@include "stamp"
--@include "clock"
local base, index, kind = ARGV[1], ARGV[2], ARGV[3]
local first, most = tonumber(ARGV[4]), tonumber(ARGV[5])
local MICROSECONDS, BYTES, LONG = 400, 256 * 1024, 1000

local READ = {
  logs = function(key) return redis.call('LLEN', key), 'LRANGE', 0, -1 end,
  dependencies = function(key) return redis.call('SCARD', key), 'SMEMBERS' end,
  processed = function(key) return redis.call('HLEN', key), 'HGETALL' end,
  failed = function(key) return redis.call('HLEN', key), 'HGETALL' end,
  unsuccessful = function(key)
    return redis.call('ZCARD', key), 'ZRANGE', 0, -1, 'WITHSCORES'
  end,
}
local TYPES = {
  logs = 'list', dependencies = 'set', processed = 'hash', failed = 'hash', unsuccessful = 'zset',
}
local NAMES = { 'logs', 'dependencies', 'processed', 'failed', 'unsuccessful' }

-- ids and scores by turns
local function slice(from, to)
  if from < 0 or to < from then return {} end
  if kind == 'zset' then return redis.call('ZRANGE', base .. index, from, to, 'WITHSCORES') end
  local both = {}
  for i, id in ipairs(redis.call('LRANGE', base .. index, from, to)) do
    both[2 * i - 1], both[2 * i] = id, ''
  end
  return both
end

local function given()
  local both = {}
  for i = 6, #ARGV do both[#both + 1], both[#both + 2] = ARGV[i], '' end
  return both
end

local function bytes(values)
  local sum = 0
  for _, value in ipairs(values) do sum = sum + #value end
  return sum
end

-- A key of this name and another type is another queue's (see namesakes in slice.lua).
local function part(key, name)
  if redis.call('TYPE', key).ok ~= TYPES[name] then return nil end
  local length, command, a, b, c = READ[name](key)
  if length > LONG then return { name, '' } end
  if c then return { name, redis.call(command, key, a, b, c) } end
  if a then return { name, redis.call(command, key, a, b) } end
  return { name, redis.call(command, key) }
end

local function job(id, score)
  local key = base .. id
  local fields = redis.call('HGETALL', key)
  local row, size = { id, score, fields }, bytes(fields)
  if redis.call('EXISTS', key .. ':logs', key .. ':dependencies', key .. ':processed',
      key .. ':failed', key .. ':unsuccessful') == 0 then
    return row, size
  end
  for _, name in ipairs(NAMES) do
    local found = part(key .. ':' .. name, name)
    if found then
      row[#row + 1] = found
      if found[2] ~= '' then size = size + bytes(found[2]) end
    end
  end
  return row, size
end

local began, size, looked = microseconds(), 0, 0
local both = index == '' and given() or slice(first, first + most - 1)
local before = index == '' and {} or slice(first - 1, first - 1)
local answer = { currentStamp(base), before[1] or '', 0, '' }
for i = 1, #both, 2 do
  if not (kind == 'list' and isMarker(base, both[i])) then
    local row, more = job(both[i], both[i + 1])
    answer[#answer + 1] = row
    size = size + more
  end
  looked = looked + 1
  if size > BYTES then break end
  if looked % 4 == 0 and microseconds() - began > MICROSECONDS then break end
end
answer[3], answer[4] = looked, both[2 * looked - 1] or ''
return answer
