-- A connection begins; nothing is sent over it before it is joined. ARGV: connection, user, session, seconds it may last,
-- connections that a user may have
-- Gives: 0 where there are so many already.
local key, connections = 'connection:' .. ARGV[1], 'connections:' .. ARGV[2]
local now = redis.call('TIME')[1]
redis.call('ZREMRANGEBYSCORE', connections, '-inf', now)
if redis.call('ZCARD', connections) >= tonumber(ARGV[5]) then
  return 0
end
redis.call('HSET', key, 'user', ARGV[2], 'session', ARGV[3])
redis.call('EXPIRE', key, ARGV[4])
return 1
