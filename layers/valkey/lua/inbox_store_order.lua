-- Store the order of an inbox as it was read from Cassandra, unless a change has begun since.
-- ARGV: user, version, seconds to live; then per conversation: milliseconds, id
local key = 'inbox:' .. ARGV[1]
if mark_of(key, VERSION_AT) ~= ARGV[2] then
  return 0
end
redis.call('UNLINK', key, 'entries:' .. ARGV[1])
for i = 4, #ARGV, 2 do
  redis.call('ZADD', key, ARGV[i], ARGV[i + 1])
end
redis.call('ZADD', key, VERSION_AT, 'v' .. ARGV[2], FILLED_AT, 'f' .. ARGV[2])
redis.call('EXPIRE', key, ARGV[3])
return 1
