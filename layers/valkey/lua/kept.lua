-- ARGV: key
return redis.call('GET', ARGV[1])
