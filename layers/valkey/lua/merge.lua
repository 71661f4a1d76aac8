-- End a build: what the rows said and what was pushed meanwhile become the timeline. Then the page is read.
-- ARGV beyond the page's: ids newest first, in one; ids of the followed, in one; 1 if older posts exist;
--                         seconds to live
do
  local timeline, following = 'timeline:' .. ARGV[1], 'following:' .. ARGV[1]
  local sentinel = redis.call('LINDEX', timeline, -1)
  if sentinel ~= sentinel_of(BUILDING, ARGV[4]) then
    return {'busy'}
  end
  local pushed = redis.call('LRANGE', timeline, 0, -2)
  local merged, at, rows, followed = {}, 1, ARGV[6], ARGV[7]
  local last = #rows > 0 and ARGV[8] == '1' and string.sub(rows, -16)
  for i = 1, #rows, 16 do
    local id = string.sub(rows, i, i + 15)
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
  local people = {}
  for i = 1, #followed, 16 do
    people[#people + 1] = string.sub(followed, i, i + 15)
    if #people == 500 or i + 16 > #followed then
      redis.call('SADD', following, unpack(people))
      people = {}
    end
  end
  redis.call('EXPIRE', timeline, ARGV[9])
  redis.call('EXPIRE', following, ARGV[9])
end
