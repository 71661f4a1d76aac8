-- Functions for keys that must not be evicted when memory is short, because nothing else has what they hold.
--
-- Such a key has no expiry: Valkey evicts only keys that have one. It stands in the sorted set `deadlines` with the second
-- at which it ends. From then on readers take it for missing. admit.lua and record_heartbeat.lua remove what has ended.
local DEADLINES = 'deadlines'

local function seconds()
  local clock = redis.call('TIME')
  return clock[1] + clock[2] / 1000000
end

local function end_at(key, second)
  redis.call('ZADD', DEADLINES, second, key)
end

-- When the key ends; false if it has ended, or never had an end.
local function end_of(key, now)
  local second = tonumber(redis.call('ZSCORE', DEADLINES, key) or 0)
  return second > now and second
end

local function remove(key)
  redis.call('UNLINK', key)
  redis.call('ZREM', DEADLINES, key)
end

-- Before something is added to a key: remove what is left of it. Nothing is written otherwise, because a script that has
-- written is not stopped at the limit of memory.
local function remove_if_ended(key, now)
  local second = redis.call('ZSCORE', DEADLINES, key)
  if second and tonumber(second) <= now then
    remove(key)
  end
end

local function remove_ended(now, at_most)
  local ended = redis.call('ZRANGEBYSCORE', DEADLINES, '-inf', now, 'LIMIT', 0, at_most)
  if #ended > 0 then
    redis.call('UNLINK', unpack(ended))
    redis.call('ZREM', DEADLINES, unpack(ended))
  end
end
