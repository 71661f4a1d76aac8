-- Remove a connection; deadlines.lua precedes. ARGV: connection
local key = 'connection:' .. ARGV[1]
local user = redis.call('HGET', key, 'user')
if user then
  redis.call('ZREM', 'connections:' .. user, ARGV[1])
end
remove(key)
return 1
