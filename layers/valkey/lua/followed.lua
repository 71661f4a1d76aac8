-- The next read builds the timeline anew. ARGV: viewer, whom she follows now
local following = 'following:' .. ARGV[1]
redis.call('UNLINK', 'timeline:' .. ARGV[1])
if redis.call('EXISTS', following) == 1 then
  redis.call('SADD', following, ARGV[2])
end
return 1
