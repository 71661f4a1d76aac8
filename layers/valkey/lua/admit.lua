-- Read the session, extend its expiry and count the request; deadlines.lua precedes.
-- ARGV: session id or '', address, seconds that a session lives without use, seconds between saves,
--       general action, requests, seconds; specific action or '', requests, seconds, '1' if counted by address
-- Returns 0 for an unknown session; else 1, user id, username, role, 1 if a save is due,
--         the deciding limit (1 general, 2 specific), 1 if accepted, remaining, seconds to reset, entry
local session_id, address, idle, save_after = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local clock = redis.call('TIME')
local second = tonumber(clock[1])
local now = second * 1000000 + tonumber(clock[2])
local entry = string.format('%.0f', now)
local ends = {}  -- of the keys that are written: second, key
remove_ended(second, 8)

local user_id, username, role = '', '', ''
local save_due = 0
if session_id ~= '' then
  local session = 'session:' .. session_id
  local fields = redis.call('HMGET', session, 'user_id', 'username', 'role', 'ends_at', 'saved_at',
    'expires_at')
  local left = fields[1] and tonumber(fields[6]) > second and math.min(idle, fields[4] - second) or 0
  if left <= 0 then
    return {0}
  end
  user_id, username, role = fields[1], fields[2], fields[3]
  if second - fields[5] >= save_after then
    save_due = 1
    redis.call('HSET', session, 'expires_at', second + left, 'saved_at', second)
    local sessions = 'sessions:' .. user_id
    redis.call('ZADD', sessions, second + left + save_after, session_id)
    ends[1], ends[2] = second + idle + save_after, sessions
  else
    redis.call('HSET', session, 'expires_at', second + left)
  end
  ends[#ends + 1] = second + left
  ends[#ends + 1] = session
end

-- A list has the times of accepted requests, oldest first; refused requests are not added.
local function count(key, requests, seconds)
  local window = seconds * 1000000
  local oldest = redis.call('LINDEX', key, 0)
  if oldest and now - oldest > window and now - redis.call('LINDEX', key, -1) > window then
    redis.call('UNLINK', key)
    oldest = false
  end
  while oldest and now - oldest > window do
    redis.call('LPOP', key)
    oldest = redis.call('LINDEX', key, 0)
  end
  local used = redis.call('LLEN', key)
  if used >= requests then
    local expiring = redis.call('LINDEX', key, used - math.max(requests, 1)) or now
    return 0, 0, math.max(1, math.ceil((expiring + window - now) / 1000000))
  end
  redis.call('RPUSH', key, entry)
  ends[#ends + 1] = second + seconds + 1
  ends[#ends + 1] = key
  return 1, requests - used - 1, math.max(1, math.ceil(((oldest or now) + window - now) / 1000000))
end

local owner = user_id ~= '' and user_id or address
local which = 1
local accepted, remaining, reset = count('ratelimit:' .. owner .. ':' .. ARGV[5], tonumber(ARGV[6]), tonumber(ARGV[7]))
if accepted == 1 and ARGV[8] ~= '' and (ARGV[11] == '1' or user_id ~= '') then
  if ARGV[11] == '1' then
    owner = address
  end
  which = 2
  accepted, remaining, reset = count('ratelimit:' .. owner .. ':' .. ARGV[8], tonumber(ARGV[9]), tonumber(ARGV[10]))
end
if #ends > 0 then
  redis.call('ZADD', DEADLINES, unpack(ends))
end
return {1, user_id, username, role, save_due, which, accepted, remaining, reset, entry}
