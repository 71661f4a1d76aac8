-- Take the next events to send over a connection. The caller then has the exclusive right to send for some seconds.
-- ARGV: connection, id of the last event that the caller has sent or '' at the first call, milliseconds of the right to
--       send, number of events
-- Returns false for a connection that was removed or whose session has ended; else per event: id, event. Nothing if
-- another process is sending, or if all events were sent.
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
