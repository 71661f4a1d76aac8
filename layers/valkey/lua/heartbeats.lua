-- ARGV: keys
return redis.call('MGET', unpack(ARGV))
