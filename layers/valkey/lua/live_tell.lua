-- Something happened that these people are to know. ARGV: the event, events kept, seconds kept, their ids in one
-- Gives the connections over which somebody of them listens.
local event, kept, seconds, people = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local now = redis.call('TIME')[1]
local listening = {}
for i = 1, #people, 16 do
  local user = string.sub(people, i, i + 15)
  local stream = 'live:' .. user
  redis.call('XADD', stream, 'MAXLEN', '~', kept, '*', 'event', event)
  redis.call('EXPIRE', stream, seconds)
  for _, connection in ipairs(redis.call('ZRANGEBYSCORE', 'connections:' .. user, now, '+inf')) do
    listening[#listening + 1] = connection
  end
end
return listening
