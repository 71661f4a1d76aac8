-- Store an event for users; a transient one only for users with a connection. deadlines.lua precedes.
-- ARGV: event, length of a stream, seconds to live, ids of the users, concatenated, '1' for a transient event
-- Returns the connections of the users.
local event, length, seconds_kept, users, is_transient = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5] == '1'
local now = seconds()
local all_connections = {}
for i = 1, #users, 16 do
  local user = string.sub(users, i, i + 15)
  local stream = 'live:' .. user
  local connections = redis.call('ZRANGEBYSCORE', 'connections:' .. user, now, '+inf')
  if #connections > 0 or not is_transient then
    remove_if_ended(stream, now)
    redis.call('XADD', stream, 'MAXLEN', '~', length, '*', 'event', event)
    end_at(stream, now + seconds_kept)
  end
  for _, connection in ipairs(connections) do
    all_connections[#all_connections + 1] = connection
  end
end
return all_connections
