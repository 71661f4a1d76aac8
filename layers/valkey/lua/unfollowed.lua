-- From now on the author's posts are dropped when read; a build that may still have seen the follow is called off.
-- ARGV: viewer, whom she follows no more
local timeline = 'timeline:' .. ARGV[1]
redis.call('SREM', 'following:' .. ARGV[1], ARGV[2])
local sentinel = redis.call('LINDEX', timeline, -1)
if sentinel and kind_of(sentinel) == BUILDING then
  redis.call('UNLINK', timeline)
end
return 1
