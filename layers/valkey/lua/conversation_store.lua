-- Store what a reader has found missing and read from Cassandra, unless a change has begun since.
-- ARGV: conversation, version, access without its first field or '', seconds that it is valid,
--       page without its first field or '', seconds that it is valid, bodies, seconds to live
local key = 'conversation:' .. ARGV[1]
if redis.call('HGET', key, 'version') ~= ARGV[2] then
  return 0
end
local now = milliseconds()
if ARGV[3] ~= '' then
  redis.call('HSET', key, 'access', struct.pack('>I8', now + ARGV[4] * 1000) .. ARGV[3])
end
if ARGV[5] ~= '' then
  redis.call('HSET', key, 'page', struct.pack('>I8', now + ARGV[6] * 1000) .. ARGV[5], 'bodies', ARGV[7])
end
live_at_least(key, ARGV[8])
return 1
