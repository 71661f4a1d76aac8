-- Functions for the inbox of a user; conversation.lua precedes.
--
-- `inbox:{user}` is a sorted set of conversations by the milliseconds of their last activity. Marks have a negative score:
--   'f' and the version with which it was stored, -1: the order is complete
--   'v' and a version, -2: what a reader must present to store what was missing; every change removes it. A version
--   begins with the second in which it was made
--   'w' and a token, minus the time until which it may take: a change that has begun and not ended
-- `entries:{user}` is a hash with the number of bans, and the entries of conversations: until when it is valid (8 bytes),
-- key of the last message (16), unread messages (1), 1 for a group (1), lengths of three parts of the JSON (2 each); the
-- parts; ids of the people in it
local ENTRY, FILLED_AT, VERSION_AT = '>I8c16I1I1I2I2I2', -1, -2
local ORDER_MILLISECONDS = 60 * 60 * 1000
local ENTRY_LENGTH = struct.size(ENTRY)

local function mark_of(key, score)
  local mark = redis.call('ZRANGEBYSCORE', key, score, score)[1]
  return mark and string.sub(mark, 2)
end

-- Whether the order is complete, the version, and whether a change is under way. A change that has not ended in time may
-- have been written or not; then the order is not complete.
local function inbox_state(key, now)
  local is_complete, version, is_changing, is_doubtful = false, nil, false, false
  local marks = redis.call('ZRANGEBYSCORE', key, '-inf', '(0', 'WITHSCORES')
  for i = 1, #marks, 2 do
    local score = tonumber(marks[i + 1])
    if score == FILLED_AT then
      is_complete = tonumber(string.match(marks[i], '%d+')) * 1000 + ORDER_MILLISECONDS > now
    elseif score == VERSION_AT then
      version = string.sub(marks[i], 2)
    elseif -score > now then
      is_changing = true
    else
      is_doubtful = true
    end
  end
  return is_complete and not is_doubtful, version, is_changing
end

local function new_inbox_version(key, seconds)
  local clock = redis.call('TIME')
  local version = clock[1] .. '.' .. clock[2]
  redis.call('ZADD', key, VERSION_AT, 'v' .. version)
  live_at_least(key, seconds)
  return version
end

local function begin_in_inbox(user, token, milliseconds_left, now)
  local key = 'inbox:' .. user
  redis.call('ZADD', key, -(now + milliseconds_left), 'w' .. token)
  redis.call('ZREMRANGEBYSCORE', key, VERSION_AT, VERSION_AT)
  live_at_least(key, math.ceil(milliseconds_left / 1000) + 1)
end

-- Whether the change was known and the order is complete. If the change was not known, all is forgotten.
local function end_in_inbox(user, token)
  local key = 'inbox:' .. user
  if redis.call('ZREM', key, 'w' .. token) == 0 then
    redis.call('UNLINK', key, 'entries:' .. user)
    return false
  end
  return mark_of(key, FILLED_AT) ~= nil
end
