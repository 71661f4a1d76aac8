-- ARGV: key, copy, seconds to keep it
redis.call('SET', ARGV[1], ARGV[2], 'EX', ARGV[3])
