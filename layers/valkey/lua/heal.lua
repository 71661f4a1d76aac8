-- Keep what the rows said of posts that a page lacked, and take from the timeline what they did not show.
-- ARGV: viewer, token of the timeline, fragments' seconds, bits' seconds, number of posts,
--       then per post: id, fragment or '', liked, saved; then the ids that are gone
local viewer, lives, bits_live = ARGV[1], ARGV[3], ARGV[4]
local timeline, liked, saved = 'timeline:' .. viewer, 'liked:' .. viewer, 'saved:' .. viewer
local last = 5 + ARGV[5] * 4
for i = 6, last, 4 do
  local id, fragment = ARGV[i], ARGV[i + 1]
  if fragment ~= '' then
    keep_fragment(id, fragment, lives)
  end
  keep_liked(liked, id, ARGV[i + 2])
  redis.call('HSETNX', saved, id, ARGV[i + 3])
end
if last > 5 then
  redis.call('EXPIRE', liked, bits_live, 'NX')
  redis.call('EXPIRE', saved, bits_live, 'NX')
end
local sentinel = redis.call('LINDEX', timeline, -1)
if sentinel and kind_of(sentinel) ~= BUILDING and token_of(sentinel) == ARGV[2] then
  for i = last + 1, #ARGV do
    redis.call('LREM', timeline, 1, ARGV[i])
  end
end
return 1
