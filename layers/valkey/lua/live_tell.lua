-- Something happened that these people are to know.
-- ARGV: the event, events kept, seconds kept, their ids in one, '1' for what only those hear who listen now
-- Gives the connections over which somebody of them listens.
local event, kept, seconds, people, passing = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5] == '1'
local now = redis.call('TIME')[1]
local listening = {}
for i = 1, #people, 16 do
  local user = string.sub(people, i, i + 15)
  local stream = 'live:' .. user
  local connections = redis.call('ZRANGEBYSCORE', 'connections:' .. user, now, '+inf')
  if #connections > 0 or not passing then
    redis.call('XADD', stream, 'MAXLEN', '~', kept, '*', 'event', event)
    redis.call('EXPIRE', stream, seconds)
  end
  for _, connection in ipairs(connections) do
    listening[#listening + 1] = connection
  end
end
return listening
