-- Forget sessions. What stays for a minute keeps a look-up that is under way from bringing them back.
-- ARGV: seconds to stay, then pairs: 's' and a session id, or 'u' and a user id
local stays = tonumber(ARGV[1])
local second = redis.call('TIME')[1]

local function forget(session_id)
  local session = 'session:' .. session_id
  local user_id = redis.call('HGET', session, 'user_id')
  redis.call('UNLINK', session)
  redis.call('HSET', session, 'revoked', 1)
  redis.call('EXPIRE', session, stays)
  if user_id then
    redis.call('ZREM', 'sessions:' .. user_id, session_id)
  end
end

for i = 2, #ARGV, 2 do
  if ARGV[i] == 's' then
    forget(ARGV[i + 1])
  else
    local user_id = ARGV[i + 1]
    for _, session_id in ipairs(redis.call('ZRANGE', 'sessions:' .. user_id, 0, -1)) do
      forget(session_id)
    end
    redis.call('SET', 'revoked:' .. user_id, second, 'EX', stays)
  end
end
return 1
