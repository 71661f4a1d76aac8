-- Begin to send events over a connection: those after the given event, or new ones; deadlines.lua precedes.
-- ARGV: connection, id of the last known event or '', seconds that events live, milliseconds that the caller may send
-- Returns false for a connection that is not registered; else the id after which events begin, and 1 if events may be
-- missing.
local key, now = 'connection:' .. ARGV[1], seconds()
local ends = end_of(key, now)
local user = ends and redis.call('HGET', key, 'user')
if not user then
  return false
end
local stream = 'live:' .. user
local start, missed = ARGV[2], 0
remove_if_ended(stream, now)
if start == '' or #redis.call('XRANGE', stream, start, start) == 0 then
  missed = start == '' and 0 or 1
  local last = redis.call('XREVRANGE', stream, '+', '-', 'COUNT', 1)[1]
  -- In an empty stream, an empty event marks the position.
  start = last and last[1] or redis.call('XADD', stream, '*', 'event', '')
  end_at(stream, now + ARGV[3])
end
redis.call('HSET', key, 'cursor', start)
redis.call('HSET', key, 'busy', now * 1000 + ARGV[4])  -- the caller sends first
local connections = 'connections:' .. user
remove_if_ended(connections, now)
redis.call('ZADD', connections, ends, ARGV[1])
redis.call('ZADD', DEADLINES, 'GT', ends, connections)
return {start, missed}
