-- Replace the fragment of a deleted post by a tombstone, which no write replaces.
-- ARGV: post id, seconds to live of the tombstone
redis.call('SET', 'post:' .. ARGV[1], TOMBSTONE .. string.rep('\0', HEADER - 8), 'EX', ARGV[2])
for _, author in ipairs(redis.call('SMEMBERS', 'stars')) do
  redis.call('LREM', 'author:' .. author, 0, ARGV[1])
end
return 1
