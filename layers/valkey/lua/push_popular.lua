-- Store a post of an author with many followers (a member of `stars`), to be merged at read.
-- ARGV: post id, author, length of the list, seconds to live
local posts = 'author:' .. ARGV[2]
redis.call('LREM', posts, 0, ARGV[1])
redis.call('LPUSH', posts, ARGV[1])
redis.call('LTRIM', posts, 0, ARGV[3] - 1)
redis.call('EXPIRE', posts, ARGV[4])
redis.call('SADD', 'stars', ARGV[2])
redis.call('EXPIRE', 'stars', ARGV[4])
return 1
