-- Set a typing mark. ARGV: conversation, user, milliseconds to live
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local key = 'typing:' .. ARGV[1]
redis.call('ZREMRANGEBYSCORE', key, '-inf', now)
redis.call('ZADD', key, now + ARGV[3], ARGV[2])
redis.call('PEXPIRE', key, ARGV[3])
return 1
