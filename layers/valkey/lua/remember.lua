-- Store a session that was read from PostgreSQL, unless it was revoked meanwhile; deadlines.lua precedes.
-- ARGV: session id, user id, username, role, seconds to its absolute end, seconds that it lives without use,
--       seconds between saves, seconds from its start to its absolute end
local session_id, user_id = ARGV[1], ARGV[2]
local left, idle, save_after = tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7])
local second = tonumber(redis.call('TIME')[1])
local session, sessions = 'session:' .. session_id, 'sessions:' .. user_id
local started = second + left - ARGV[8]
local revoked_at = end_of('revoked:' .. user_id, second) and redis.call('GET', 'revoked:' .. user_id)
remove_if_ended(session, second)
if redis.call('HEXISTS', session, 'revoked') == 1 or (revoked_at and started <= tonumber(revoked_at)) then
  return 0
end
local seconds = math.min(left, idle)
redis.call('HSET', session, 'user_id', user_id, 'username', ARGV[3], 'role', ARGV[4], 'created_at', started,
  'expires_at', second + seconds, 'ends_at', second + left, 'saved_at', second)
end_at(session, second + seconds)
redis.call('ZREMRANGEBYSCORE', sessions, '-inf', second)
redis.call('ZADD', sessions, second + seconds + save_after, session_id)
end_at(sessions, second + idle + save_after)
return 1
