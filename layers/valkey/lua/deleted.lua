-- A post is gone, and no fill that is under way brings it back. ARGV: id, seconds to stay
redis.call('SET', 'post:' .. ARGV[1], TOMBSTONE .. string.rep('\0', 24), 'EX', ARGV[2])
for _, star in ipairs(redis.call('SMEMBERS', 'stars')) do
  redis.call('LREM', 'author:' .. star, 0, ARGV[1])
end
return 1
