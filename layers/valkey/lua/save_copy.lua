-- Store a copy. ARGV: key, copy, seconds to live
redis.call('SET', ARGV[1], ARGV[2], 'EX', ARGV[3])
