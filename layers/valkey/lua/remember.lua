-- Keep a session that the register knows, unless it was revoked while it was being looked up.
-- ARGV: session id, user id, username, role, seconds to its absolute end, seconds it lives without use,
--       seconds between saves, seconds from its beginning to its absolute end
local session_id, user_id = ARGV[1], ARGV[2]
local left, idle, save_after = tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7])
local second = tonumber(redis.call('TIME')[1])
local session, sessions = 'session:' .. session_id, 'sessions:' .. user_id
local began = second + left - ARGV[8]
local revoked_at = redis.call('GET', 'revoked:' .. user_id)
if redis.call('HEXISTS', session, 'revoked') == 1 or (revoked_at and began <= tonumber(revoked_at)) then
  return 0
end
local lives = math.min(left, idle)
redis.call('HSET', session, 'user_id', user_id, 'username', ARGV[3], 'role', ARGV[4], 'created_at', began,
  'expires_at', second + lives, 'ends_at', second + left, 'saved_at', second)
redis.call('EXPIRE', session, lives)
redis.call('ZREMRANGEBYSCORE', sessions, '-inf', second)
redis.call('ZADD', sessions, second + lives + save_after, session_id)
redis.call('EXPIRE', sessions, idle + save_after)
return 1
