-- Store what was read from PostgreSQL for a page, and remove deleted posts from the timeline.
-- ARGV: viewer, token of the timeline, seconds to live of fragments, of bits, number of posts;
--       per post: id, fragment or '', liked, saved; then the ids of deleted posts
local viewer, fragment_seconds, bit_seconds = ARGV[1], ARGV[3], ARGV[4]
local timeline, liked, saved = 'timeline:' .. viewer, 'liked:' .. viewer, 'saved:' .. viewer
local last = 5 + ARGV[5] * 4
for i = 6, last, 4 do
  local id, fragment = ARGV[i], ARGV[i + 1]
  if fragment ~= '' then
    store_fragment(id, fragment, fragment_seconds)
  end
  store_liked(liked, id, ARGV[i + 2])
  redis.call('HSETNX', saved, id, ARGV[i + 3])
end
if last > 5 then
  redis.call('EXPIRE', liked, bit_seconds, 'NX')
  redis.call('EXPIRE', saved, bit_seconds, 'NX')
end
local sentinel = redis.call('LINDEX', timeline, -1)
if sentinel and kind_of(sentinel) ~= BUILDING and token_of(sentinel) == ARGV[2] then
  for i = last + 1, #ARGV do
    redis.call('LREM', timeline, 1, ARGV[i])
  end
end
return 1
