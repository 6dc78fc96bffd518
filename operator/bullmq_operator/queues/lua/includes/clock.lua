-- Microseconds, for spans within one script. TIME says the same all through a script in Redis 7.2,
-- Valkey, and later; the processor's clock, which they have, goes on.
local function microseconds()
  local library = rawget(_G, 'os')
  if library then return library.clock() * 1000000 end
  local time = redis.call('TIME')
  return tonumber(time[1]) * 1000000 + tonumber(time[2])
end
