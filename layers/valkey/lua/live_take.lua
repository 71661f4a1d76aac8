-- Take the next events to send over a connection. The caller then has the exclusive right to send for some seconds.
-- deadlines.lua precedes.
-- ARGV: connection, id of the last event that the caller has sent or '' at the first call, milliseconds of the right to
--       send, number of events
-- Returns false for a connection that was removed or whose session has ended; else per event: id, event. Nothing if
-- another process is sending, or if all events were sent.
local key, clock = 'connection:' .. ARGV[1], seconds()
local user, session, cursor, busy = unpack(redis.call('HMGET', key, 'user', 'session', 'cursor', 'busy'))
if not cursor or not end_of(key, clock) then
  return false
end
session = 'session:' .. session
if not end_of(session, clock) or redis.call('HEXISTS', session, 'user_id') == 0 then
  remove(key)
  redis.call('ZREM', 'connections:' .. user, ARGV[1])
  return false
end
local now = math.floor(clock * 1000)
if ARGV[2] ~= '' then
  cursor = ARGV[2]
  redis.call('HSET', key, 'cursor', cursor)
elseif busy and tonumber(busy) > now then
  return {}
end
local stream = 'live:' .. user
local found = end_of(stream, clock) and redis.call('XRANGE', stream, '(' .. cursor, '+', 'COUNT', ARGV[4]) or {}
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
