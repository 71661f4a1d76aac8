-- Store a post of an author with many followers (a member of `stars`), to be merged at read; deadlines.lua precedes.
-- ARGV: post id, author, length of the list, seconds to live
local posts, now = 'author:' .. ARGV[2], seconds()
remove_if_ended(posts, now)
remove_if_ended('stars', now)
redis.call('LREM', posts, 0, ARGV[1])
redis.call('LPUSH', posts, ARGV[1])
redis.call('LTRIM', posts, 0, ARGV[3] - 1)
end_at(posts, now + ARGV[4])
redis.call('SADD', 'stars', ARGV[2])
end_at('stars', now + ARGV[4])
return 1
