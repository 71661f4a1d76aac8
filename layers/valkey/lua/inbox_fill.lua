-- Store the order of an inbox as it was read from Cassandra; later activities that were recorded meanwhile stay.
-- ARGV: user, seconds to live; then per conversation: milliseconds, id
local inbox = 'inbox:' .. ARGV[1]
if redis.call('EXISTS', inbox) == 0 then
  return 0
end
for i = 3, #ARGV, 2 do
  redis.call('ZADD', inbox, 'GT', ARGV[i], ARGV[i + 1])
end
redis.call('ZREM', inbox, 'filling')
redis.call('ZADD', inbox, -1, 'complete')
redis.call('EXPIRE', inbox, ARGV[2])
return 1
