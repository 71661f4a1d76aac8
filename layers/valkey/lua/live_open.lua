-- Register a connection; events are sent over it after it has been joined. deadlines.lua precedes.
-- ARGV: connection, user, session, seconds to live, maximum number of connections of a user
-- Returns 0 if the user has the maximum number of connections, else 1.
local key, connections = 'connection:' .. ARGV[1], 'connections:' .. ARGV[2]
local now = seconds()
redis.call('ZREMRANGEBYSCORE', connections, '-inf', now)
if redis.call('ZCARD', connections) >= tonumber(ARGV[5]) then
  return 0
end
redis.call('HSET', key, 'user', ARGV[2], 'session', ARGV[3])
end_at(key, now + ARGV[4])
return 1
