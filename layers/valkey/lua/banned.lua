-- Authors whose posts no feed shows. ARGV: author, 1 banned or 0 not any more, seconds to live
redis.call(ARGV[2] == '1' and 'SADD' or 'SREM', 'banned', ARGV[1])
redis.call('EXPIRE', 'banned', ARGV[3])
return 1
