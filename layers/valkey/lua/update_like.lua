-- Store a viewer's like, and the counts of the post.
-- ARGV: post id, version and counts, seconds to live, viewer, bit, seconds to live of bits
local liked = 'liked:' .. ARGV[4]
store_counts(ARGV[1], ARGV[2], ARGV[3])
store_liked(liked, ARGV[1], ARGV[5])
redis.call('EXPIRE', liked, ARGV[6], 'NX')
return 1
