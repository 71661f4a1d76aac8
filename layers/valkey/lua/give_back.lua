-- Un-count one request. ARGV: limiter's key, place
return redis.call('LREM', ARGV[1], -1, ARGV[2])
