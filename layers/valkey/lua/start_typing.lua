-- Set a typing mark; deadlines.lua precedes. ARGV: conversation, user, milliseconds to live
local now = seconds() * 1000
local key = 'typing:' .. ARGV[1]
redis.call('ZREMRANGEBYSCORE', key, '-inf', now)
redis.call('ZADD', key, now + ARGV[3], ARGV[2])
end_at(key, (now + ARGV[3]) / 1000)
return 1
