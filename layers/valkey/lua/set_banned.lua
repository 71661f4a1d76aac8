-- Add or remove an author whose posts no feed shows. ARGV: author, 1 to add or 0 to remove, seconds to live
redis.call(ARGV[2] == '1' and 'SADD' or 'SREM', 'banned', ARGV[1])
redis.call('EXPIRE', 'banned', ARGV[3])
-- What is kept of conversations is valid for one number of bans, because it says who is hidden. The number has no
-- expiry, so it is never evicted.
redis.call('INCR', 'bans')
return 1
