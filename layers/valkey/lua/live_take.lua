-- What is to be sent over a connection next. One at a time sends: whoever takes has it to itself for a while.
-- ARGV: connection, id of the last event sent or '' by who has not taken yet, milliseconds it may be kept, events
-- Gives: false for a connection that is gone, or whose session has ended; else id, event, id, event …: nothing while
-- another sends, or when all was sent.
local key = 'connection:' .. ARGV[1]
local user, session, cursor, busy = unpack(redis.call('HMGET', key, 'user', 'session', 'cursor', 'busy'))
if not cursor then
  return false
end
if not redis.call('HGET', 'session:' .. session, 'user_id') then
  redis.call('DEL', key)
  redis.call('ZREM', 'connections:' .. user, ARGV[1])
  return false
end
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
if ARGV[2] ~= '' then
  cursor = ARGV[2]
  redis.call('HSET', key, 'cursor', cursor)
elseif busy and tonumber(busy) > now then
  return {}
end
local found = redis.call('XRANGE', 'live:' .. user, '(' .. cursor, '+', 'COUNT', ARGV[4])
if #found == 0 then
  redis.call('HDEL', key, 'busy')
  return {}
end
redis.call('HSET', key, 'busy', now + ARGV[3])
local events = {}
for _, entry in ipairs(found) do
  events[#events + 1] = entry[1]
  events[#events + 1] = entry[2][2]
end
return events
