-- Read the users whose typing mark has not ended. ARGV: conversation
local clock = redis.call('TIME')
return redis.call('ZRANGEBYSCORE', 'typing:' .. ARGV[1], '(' .. clock[1] * 1000 + math.floor(clock[2] / 1000), '+inf')
