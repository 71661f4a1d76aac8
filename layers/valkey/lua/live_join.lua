-- From now on events are sent over a connection: those after the given one, or those to come.
-- ARGV: connection, id of the last event known or '', seconds that events are kept, milliseconds it may be kept
-- Gives: false for a connection that nobody opened; else where it begins, and 1 if events may have been missed.
local key = 'connection:' .. ARGV[1]
local user = redis.call('HGET', key, 'user')
if not user then
  return false
end
local stream = 'live:' .. user
local begins, missed = ARGV[2], 0
if begins == '' or #redis.call('XRANGE', stream, begins, begins) == 0 then
  missed = begins == '' and 0 or 1
  local last = redis.call('XREVRANGE', stream, '+', '-', 'COUNT', 1)[1]
  -- Where there is nothing, an empty event marks the place.
  begins = last and last[1] or redis.call('XADD', stream, '*', 'event', '')
  redis.call('EXPIRE', stream, ARGV[3])
end
local lasts = redis.call('TTL', key)
redis.call('HSET', key, 'cursor', begins)
local clock = redis.call('TIME')
redis.call('HSET', key, 'busy', clock[1] * 1000 + ARGV[4])  -- whoever joined it sends first
redis.call('ZADD', 'connections:' .. user, clock[1] + lasts, ARGV[1])
if redis.call('TTL', 'connections:' .. user) < lasts then
  redis.call('EXPIRE', 'connections:' .. user, lasts)
end
return {begins, missed}
