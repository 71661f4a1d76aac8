-- Un-count all requests. ARGV: keys of limits
return redis.call('DEL', unpack(ARGV))
