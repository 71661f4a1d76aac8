-- Remove a followed account, whose posts reads then drop, and discard a build that may have read the follow.
-- ARGV: viewer, account that the viewer no longer follows
local timeline = 'timeline:' .. ARGV[1]
redis.call('SREM', 'following:' .. ARGV[1], ARGV[2])
local sentinel = redis.call('LINDEX', timeline, -1)
if sentinel and kind_of(sentinel) == BUILDING then
  redis.call('UNLINK', timeline)
end
return 1
