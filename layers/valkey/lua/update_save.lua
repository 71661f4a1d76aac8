-- Store whether a viewer has saved a post. ARGV: post id, viewer, bit, seconds to live of bits
local saved = 'saved:' .. ARGV[2]
redis.call('HSET', saved, ARGV[1], ARGV[3])
redis.call('EXPIRE', saved, ARGV[4], 'NX')
return 1
