-- Revoke sessions; deadlines.lua precedes. A mark stays for a minute, so that a session that is just being read from
-- PostgreSQL is not stored.
-- ARGV: seconds to live of the marks; then pairs: 's' and a session id, or 'u' and a user id
local mark_seconds = tonumber(ARGV[1])
local now = seconds()

local function revoke(session_id)
  local session = 'session:' .. session_id
  local user_id = redis.call('HGET', session, 'user_id')
  redis.call('UNLINK', session)
  redis.call('HSET', session, 'revoked', 1)
  end_at(session, now + mark_seconds)
  if user_id then
    redis.call('ZREM', 'sessions:' .. user_id, session_id)
  end
end

for i = 2, #ARGV, 2 do
  if ARGV[i] == 's' then
    revoke(ARGV[i + 1])
  else
    local user_id = ARGV[i + 1]
    for _, session_id in ipairs(redis.call('ZRANGE', 'sessions:' .. user_id, 0, -1)) do
      revoke(session_id)
    end
    local mark = 'revoked:' .. user_id
    redis.call('SET', mark, math.floor(now))
    end_at(mark, now + mark_seconds)
  end
end
return 1
