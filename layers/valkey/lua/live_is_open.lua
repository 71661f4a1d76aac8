-- Whether a connection is registered. ARGV: connection
return redis.call('EXISTS', 'connection:' .. ARGV[1])
