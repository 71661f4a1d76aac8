-- Begin to send events over a connection: those after the given event, or new ones.
-- ARGV: connection, id of the last known event or '', seconds that events live, milliseconds that the caller may send
-- Returns false for a connection that is not registered; else the id after which events begin, and 1 if events may be
-- missing.
local key = 'connection:' .. ARGV[1]
local user = redis.call('HGET', key, 'user')
if not user then
  return false
end
local stream = 'live:' .. user
local start, missed = ARGV[2], 0
if start == '' or #redis.call('XRANGE', stream, start, start) == 0 then
  missed = start == '' and 0 or 1
  local last = redis.call('XREVRANGE', stream, '+', '-', 'COUNT', 1)[1]
  -- In an empty stream, an empty event marks the position.
  start = last and last[1] or redis.call('XADD', stream, '*', 'event', '')
  redis.call('EXPIRE', stream, ARGV[3])
end
local ttl = redis.call('TTL', key)
redis.call('HSET', key, 'cursor', start)
local clock = redis.call('TIME')
redis.call('HSET', key, 'busy', clock[1] * 1000 + ARGV[4])  -- the caller sends first
redis.call('ZADD', 'connections:' .. user, clock[1] + ttl, ARGV[1])
if redis.call('TTL', 'connections:' .. user) < ttl then
  redis.call('EXPIRE', 'connections:' .. user, ttl)
end
return {start, missed}
