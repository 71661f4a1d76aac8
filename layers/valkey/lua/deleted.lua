-- A post is gone, and no fill that is under way brings it back. ARGV: id, seconds to stay, author
redis.call('SET', 'post:' .. ARGV[1], TOMBSTONE .. string.rep('\0', 24), 'EX', ARGV[2])
redis.call('LREM', 'author:' .. ARGV[3], 0, ARGV[1])
return 1
