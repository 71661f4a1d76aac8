-- A viewer's like was given or taken back. ARGV: id, version and counts, seconds to live, viewer, bit, bits' seconds
local liked = 'liked:' .. ARGV[4]
keep_counts(ARGV[1], ARGV[2], ARGV[3])
keep_liked(liked, ARGV[1], ARGV[5])
redis.call('EXPIRE', liked, ARGV[6], 'NX')
return 1
