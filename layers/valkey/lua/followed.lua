-- The next reads build the timelines anew. ARGV: whom they follow now, then the viewers
for i = 2, #ARGV do
  local following = 'following:' .. ARGV[i]
  redis.call('UNLINK', 'timeline:' .. ARGV[i])
  if redis.call('EXISTS', following) == 1 then
    redis.call('SADD', following, ARGV[1])
  end
end
return 1
