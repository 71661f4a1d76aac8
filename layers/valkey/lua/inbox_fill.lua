-- The order of somebody's conversations as the rows have it; what was noted since they were read stays.
-- ARGV: user, seconds to live; milliseconds, conversation, milliseconds, conversation …
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
