-- Remove a connection. ARGV: connection
local key = 'connection:' .. ARGV[1]
local user = redis.call('HGET', key, 'user')
if user then
  redis.call('ZREM', 'connections:' .. user, ARGV[1])
end
redis.call('DEL', key)
return 1
