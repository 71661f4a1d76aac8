-- Add a followed account and delete the timelines, so that the next reads build them again.
-- ARGV: followed account; then the viewers
for i = 2, #ARGV do
  local following = 'following:' .. ARGV[i]
  redis.call('UNLINK', 'timeline:' .. ARGV[i])
  if redis.call('EXISTS', following) == 1 then
    redis.call('SADD', following, ARGV[1])
  end
end
return 1
