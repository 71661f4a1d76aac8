-- Un-count one request. ARGV: key of the limit, entry
return redis.call('LREM', ARGV[1], -1, ARGV[2])
