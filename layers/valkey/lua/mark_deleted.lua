-- Replace the fragment of a deleted post by a tombstone, which no write replaces; order.lua and deadlines.lua precede.
-- ARGV: post id, seconds to live of the tombstone
local post = 'post:' .. ARGV[1]
redis.call('SET', post, TOMBSTONE .. string.rep('\0', HEADER - 8))
end_at(post, seconds() + ARGV[2])
for _, author in ipairs(redis.call('SMEMBERS', 'stars')) do
  redis.call('LREM', 'author:' .. author, 0, ARGV[1])
end
return 1
