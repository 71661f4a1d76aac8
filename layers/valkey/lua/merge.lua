-- End a build: merge the posts from PostgreSQL with those pushed meanwhile. read_page.lua follows in the same script.
-- ARGV after the five of read_page.lua: [6] ids of posts, newest first, concatenated; [7] ids of followed accounts,
--       concatenated; [8] 1 if older posts exist; [9] seconds to live; [10] seconds to live of bits; then for some of the
--       posts: id, liked, saved
do
  local timeline, following = 'timeline:' .. ARGV[1], 'following:' .. ARGV[1]
  local sentinel = redis.call('LINDEX', timeline, -1)
  if sentinel ~= sentinel_of(BUILDING, ARGV[4]) then
    return {'busy'}
  end
  local pushed = redis.call('LRANGE', timeline, 0, -2)
  local merged, at, posts, followed = {}, 1, ARGV[6], ARGV[7]
  local last = #posts > 0 and ARGV[8] == '1' and string.sub(posts, -16)
  for i = 1, #posts, 16 do
    local id = string.sub(posts, i, i + 15)
    while pushed[at] and not older(pushed[at], id) do
      if pushed[at] ~= id then merged[#merged + 1] = pushed[at] end
      at = at + 1
    end
    merged[#merged + 1] = id
  end
  while pushed[at] and not last do
    merged[#merged + 1] = pushed[at]
    at = at + 1
  end
  merged[#merged + 1] = last and sentinel_of(CUT, ARGV[4], last) or sentinel_of(COMPLETE, ARGV[4])
  redis.call('UNLINK', timeline, following)
  for i = 1, #merged, 500 do
    redis.call('RPUSH', timeline, unpack(merged, i, math.min(i + 499, #merged)))
  end
  local batch = {}
  for i = 1, #followed, 16 do
    batch[#batch + 1] = string.sub(followed, i, i + 15)
    if #batch == 500 or i + 16 > #followed then
      redis.call('SADD', following, unpack(batch))
      batch = {}
    end
  end
  redis.call('EXPIRE', timeline, ARGV[9])
  redis.call('EXPIRE', following, ARGV[9])
  if #ARGV > 10 then
    local liked, saved = 'liked:' .. ARGV[1], 'saved:' .. ARGV[1]
    for i = 11, #ARGV, 3 do
      store_liked(liked, ARGV[i], ARGV[i + 1])
      redis.call('HSETNX', saved, ARGV[i], ARGV[i + 2])
    end
    redis.call('EXPIRE', liked, ARGV[10], 'NX')
    redis.call('EXPIRE', saved, ARGV[10], 'NX')
  end
end
