--[[
  A step of the inventory's walk: looks at a part of the key space and names what is not ordinary.
  Ordinary are a finished job, unless a parent waits for it, and the parts of a finished job: there
  may be very many, and a name that goes to the client and back costs more than the look.
    KEYS    none; on a Cluster one key of the queue's slot
    ARGV[1] base
    ARGV[2] cursor of SCAN, '0' to begin with
    ARGV[3] pattern of SCAN: all names below the base
  Returns {next cursor, rest of a key's name, ...}; the walk is over when the cursor is '0' again.
  Writes nothing.
]]
--@include "waiting-parent"
local base, cursor = ARGV[1], ARGV[2]
local call = redis.call

-- One call ends at so many names of ours, or after so many SCANs that found too few: about 1 ms.
local ENOUGH, COUNT, MOST_SCANS = 250, 100, 10
-- The parts of a job and their types, as in keys.py, but for `failed`: it may be the index of
-- another queue. So may be a part of a job that is named like a space of the queue.
local PARTS = {
  logs = 'list', dependencies = 'set', processed = 'hash', unsuccessful = 'zset', lock = 'string',
}
local SPACES = { de = true, dn = true, ['repeat'] = true }

local function scan()
  local keys, scans = {}, 0
  repeat
    local answer = call('SCAN', cursor, 'MATCH', ARGV[3], 'COUNT', COUNT)
    cursor, scans = answer[1], scans + 1
    for _, key in ipairs(answer[2]) do keys[#keys + 1] = key end
  until cursor == '0' or #keys >= ENOUGH or scans >= MOST_SCANS
  return keys
end

-- The job that a key is, or whose part it is by its name, and then the part; '' for all others.
local function ownerOf(rest)
  local colon = string.find(rest, ':', 1, true)
  if not colon then return rest end
  local part = string.sub(rest, colon + 1)
  if not PARTS[part] then return '' end
  local owner = string.sub(rest, 1, colon - 1)
  if SPACES[owner] then return '' end
  return owner, part
end

-- For each id its score in an index, or false.
local function scoresIn(index, ids)
  if #ids == 0 then return {} end
  local scores = redis.pcall('ZMSCORE', base .. index, unpack(ids))
  if not scores.err then return scores end
  for i, id in ipairs(ids) do scores[i] = call('ZSCORE', base .. index, id) end -- Redis < 6.2
  return scores
end

local function isPart(key, part)
  if call('TYPE', key).ok ~= PARTS[part] then return false end
  return part ~= 'processed' or call('HEXISTS', key, 'timestamp') == 0
end

local keys, rests, owners, parts = scan(), {}, {}, {}
for i, key in ipairs(keys) do
  rests[i] = string.sub(key, #base + 1)
  owners[i], parts[i] = ownerOf(rests[i])
end

local names, left, leftOwners = { cursor }, {}, {}
for i, score in ipairs(scoresIn('completed', owners)) do
  if not score then
    left[#left + 1] = i
    leftOwners[#left] = owners[i]
  elseif parts[i] and not isPart(keys[i], parts[i]) then
    names[#names + 1] = rests[i]
  end
end
for n, score in ipairs(scoresIn('failed', leftOwners)) do
  local i, ordinary = left[n], score
  if score and parts[i] then ordinary = isPart(keys[i], parts[i])
  elseif score then ordinary = waitingParent(base, rests[i]) == '' end
  if not ordinary then names[#names + 1] = rests[i] end
end
return names
