-- Add or remove an author whose posts no feed shows. ARGV: author, 1 to add or 0 to remove, seconds to live
redis.call(ARGV[2] == '1' and 'SADD' or 'SREM', 'banned', ARGV[1])
redis.call('EXPIRE', 'banned', ARGV[3])
return 1
