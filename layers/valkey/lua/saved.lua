-- A viewer's save was given or taken back. ARGV: id, viewer, bit, bits' seconds
local saved = 'saved:' .. ARGV[2]
redis.call('HSET', saved, ARGV[1], ARGV[3])
redis.call('EXPIRE', saved, ARGV[4], 'NX')
return 1
